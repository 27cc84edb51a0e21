import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startRedis } from '../support/redis.ts';
import { open, outcome } from './helpers.ts';

const PASSWORD = 'pass/w@rd:%41é';

/** Opens a state in a process of its own, as certificates are trusted when one starts; resolves to what it says. */
async function inAProcess(url: string, env: Record<string, string>): Promise<string> {
  const [connect, clock] = ['state/connect.ts', 'core/clock.ts'].map(
    (path) => new URL(`../../src/${path}`, import.meta.url).href,
  );
  const code = `
    const { openState } = await import('${connect}');
    const { systemClock: clock } = await import('${clock}');
    const settings = { redis: { kind: 'single', url: process.env.URL }, keyPrefix: 's', commandTimeout: 2000, onOutage: 'deny' };
    const state = openState(settings, { clock, chance: Math.random, gateway: 'g' });
    console.log(await state.command('SET', 'a', '1').catch(({ message }) => message));
    await state.close();
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    env: { URL: url, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  await once(child, 'close');
  return said.trim();
}

describe('a Redis with users', () => {
  it('is used as the one whose name and password are in the URL', async (t) => {
    const redis = await startRedis(t, {
      users: { ann: `on >${PASSWORD} ~spillway:* &* +@all` },
    });
    const state = open(t, redis.urlFor('ann', PASSWORD));
    assert.equal(await state.command('SET', 'spillway:a', '1'), 'OK');
    assert.match(String(await redis.call('CLIENT', 'LIST')), /name=spillway-g1 .*user=ann/);
  });

  it('is used with a password alone, and in the database of the URL', async (t) => {
    const redis = await startRedis(t, { config: { requirepass: 'secret' } });
    const state = open(t, `redis://:secret@127.0.0.1:${redis.port}/5`);
    assert.equal(await state.command('SET', 'five', '1'), 'OK');
    const client = redis.connect({ password: 'secret', db: 5 });
    assert.equal(await client.get('five'), '1');
  });

  it('is away where the password is wrong, and nothing repeats it', async (t) => {
    const redis = await startRedis(t, { users: { ann: 'on >right ~* &* +@all', default: 'off' } });
    const state = open(t, redis.urlFor('ann', 'wrong-password'));
    await state.started;
    const { unavailable } = await outcome(() => state.command('GET', 'a'));
    assert.equal(unavailable, 'redis: it does not know this user with this password (WRONGPASS)');
    assert.equal(state.isUp('a'), false);
    await state.close();
    assert.equal(state.changes.length, 1);
    assert.doesNotMatch(JSON.stringify(state.changes), /wrong-password|ann/);
  });

  it('is away where a login is wanted and none is configured, and back when it is wanted no more', async (t) => {
    const redis = await startRedis(t, { config: { requirepass: 'secret' } });
    const state = open(t, redis.url);
    const { why } = await state.change(0);
    assert.equal(why, 'it wants a user or a password (NOAUTH)');
    await redis.connect({ password: 'secret' }).config('SET', 'requirepass', '');
    assert.deepEqual(await state.change(1), { node: 'redis', up: true, why: null });
  });

  it('is away where the user may not run scripts, however well all else would work', async (t) => {
    const redis = await startRedis(t, { users: { ann: 'on >x ~* &* +@all -@scripting' } });
    const state = open(t, redis.urlFor('ann', 'x'));
    assert.equal((await state.change(0)).why, 'its user may not do what is needed (NOPERM)');
  });

  it('is away where the user may run scripts but not write', async (t) => {
    const redis = await startRedis(t, { users: { ann: 'on >x ~* &* +@all -set' } });
    const state = open(t, redis.urlFor('ann', 'x'));
    assert.equal((await state.change(0)).why, 'its user may not do what is needed (NOPERM)');
  });

  it('is away where there is no such database, rather than used in another', async (t) => {
    const redis = await startRedis(t);
    const state = open(t, `${redis.url}/99`);
    assert.equal((await state.change(0)).why, 'it has no database 99 (ERR)');
    await outcome(() => state.command('SET', 'a', '1'));
    assert.equal(await redis.call('DBSIZE'), 0);
  });

  it('is used without the permission to name a connection', async (t) => {
    const redis = await startRedis(t, { users: { ann: 'on >x ~* &* +@all -client' } });
    const state = open(t, redis.urlFor('ann', 'x'));
    assert.equal(await state.command('SET', 'a', '1'), 'OK');
  });

  it('that has too many clients is away, and back when there is room', async (t) => {
    const redis = await startRedis(t, { config: { maxclients: '1' } });
    const first = redis.connect();
    await first.ping();
    const state = open(t, redis.url);
    assert.match(String((await state.change(0)).why), /MAXCLIENTS|max number of clients|closed/);
    await first.quit();
    assert.equal((await state.change(1)).up, true);
  });
});

describe('a Redis behind TLS', () => {
  it('is trusted by an authority that the process was given, and not without', async (t) => {
    const redis = await startRedis(t, { tls: true, users: { ann: 'on >x ~* &* +@all' } });
    const url = redis.urlFor('ann', 'x').replace('127.0.0.1', 'localhost');
    const authority = fileURLToPath(new URL('../support/certificates/authority.pem', import.meta.url));
    assert.equal(await inAProcess(url, { NODE_EXTRA_CA_CERTS: authority }), 'OK');
    assert.match(await inAProcess(url, {}), /^redis: .*(certificate|issuer)/);
  });

  it('is not reached without TLS, and one without TLS not with it', async (t) => {
    const [secured, plain] = [await startRedis(t, { tls: true }), await startRedis(t)];
    const state = open(t, secured.url.replace('rediss', 'redis'), { commandTimeout: 100 });
    assert.equal((await state.change(0)).up, false);
    const other = open(t, plain.url.replace('redis', 'rediss'), { commandTimeout: 100 });
    assert.equal((await other.change(0)).up, false);
  });
});
