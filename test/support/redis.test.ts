import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { startRedis } from './redis.ts';

describe('a Redis of the test’s own', () => {
  it('answers, and forgets all when it is restarted empty', async (t) => {
    const redis = await startRedis(t);
    await redis.call('SET', 'a', '1');
    assert.equal(await redis.call('GET', 'a'), '1');
    const before = redis.port;
    await redis.restartEmpty();
    assert.equal(redis.port, before);
    assert.equal(await redis.call('GET', 'a'), null);
  });

  it('has users and TLS', async (t) => {
    const redis = await startRedis(t, {
      tls: true,
      users: { ann: 'on >secret ~a:* +@all', default: 'off' },
    });
    const ann = redis.connect({ username: 'ann', password: 'secret' });
    await ann.set('a:1', '1');
    await assert.rejects(ann.set('b:1', '1'), /NOPERM/);
  });

  it('is frozen and thawed', async (t) => {
    const redis = await startRedis(t);
    await redis.call('PING');
    redis.freeze();
    const pong = redis.call('PING');
    assert.equal(await Promise.race([pong, new Promise((r) => setTimeout(r, 50, 'silent'))]), 'silent');
    redis.thaw();
    assert.equal(await pong, 'PONG');
  });

  it('ends with the test process, even when that is killed', async () => {
    const code = `
      const { startRedis } = await import(${JSON.stringify(new URL('redis.ts', import.meta.url).href)});
      const redis = await startRedis({ after() {} });
      console.log(await redis.call('CONFIG', 'GET', 'dir').then(([, dir]) => dir), redis.port);
      setInterval(() => {}, 1000);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [folder = ''] = String(await new Promise((resolve) => child.stdout.once('data', resolve))).split(
      ' ',
    );
    assert.ok(existsSync(folder));
    child.kill('SIGKILL');
    while (existsSync(folder)) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});
