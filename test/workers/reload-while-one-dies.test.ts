import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { onFreePorts, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/redis.ts';
import { type Gateway, start } from './kit.ts';

const ENDED = 'a worker ended: another takes its place';
const AGAIN = 'a worker accepts requests again';

/** The configuration with another model beside the usual one. */
function withModel(gateway: Gateway, name: string, sections: object = {}): void {
  const models = { m: { provider: 'a', model: 'up' }, [name]: { provider: 'a', model: 'up' } };
  gateway.process.writeConfig(onFreePorts({ ...gateway.config, models, ...sections }));
}

/** A provider whose key comes through a pipe: who loads it waits for `key` to be written. */
function withKeyFromPipe(t: TestContext, gateway: Gateway) {
  const path = join(temporaryDirectory(t), 'key');
  execFileSync('mkfifo', [path]);
  const providers = { a: { adapter: 'vllm', base_url: gateway.upstream.url, api_key: `\${file:${path}}` } };
  return { path, providers };
}

const reload = (gateway: Gateway) => gateway.operator('POST', '/admin/reload');

describe('several workers that load a configuration again', () => {
  it('are joined at once by one that takes the place of a dead one, however long a file takes to be read', async (t) => {
    const gateway = await start(t);
    const [victim = 0, other = 0] = gateway.workers();
    const { path, providers } = withKeyFromPipe(t, gateway);
    withModel(gateway, 'n', { providers });
    const reloaded = reload(gateway);
    const key = await open(path, 'w');
    const reader = gateway.workers().filter((pid) => pid !== victim && pid !== other);
    assert.equal(reader.length, 1);
    process.kill(victim, 'SIGKILL');
    const successors = () => gateway.workers().filter((pid) => ![victim, other, ...reader].includes(pid));
    await until(() => successors().length === 1, 'another to be started');
    await key.writeFile('sk-1');
    await key.close();
    // The file would have been given up, if that had only come when it was read.
    assert.equal((await reloaded).status, 200);
    await gateway.process.line(AGAIN);
    for (let i = 0; i < 2; i++) assert.equal((await gateway.chat({ model: 'n' })).status, 200);
  });

  it('have all the same, though one takes the place of a dead one between two that wait', async (t) => {
    const gateway = await start(t);
    const [victim = 0, other = 0] = gateway.workers();
    const { path, providers } = withKeyFromPipe(t, gateway);
    // Which it warns of when it has been read.
    const tenants = [{ id: 'nobody', keys: [] }];
    withModel(gateway, 'first', { providers, tenants });
    process.kill(other, 'SIGSTOP');
    const first = reload(gateway);
    const key = await open(path, 'w');
    // Its text has been read by now.
    withModel(gateway, 'second');
    const second = reload(gateway);
    assert.equal((await gateway.operator('GET', '/livez')).status, 200);
    await key.writeFile('sk-1');
    await key.close();
    await gateway.process.line('configuration');
    // It is asked for by now whether they have anything against it, and nobody begins.
    process.kill(victim, 'SIGKILL');
    await gateway.process.line(ENDED);
    process.kill(other, 'SIGCONT');
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
    await gateway.process.line(AGAIN);
    for (let i = 0; i < 2; i++) assert.equal((await gateway.chat({ model: 'second' })).status, 200);
  });
});

it('a configuration whose reading breaks off is taken over by no worker, and is in the way of no other', async (t) => {
  const marker = join(temporaryDirectory(t), 'broken');
  // Something that no check has foreseen.
  const module = `
    import { existsSync } from 'node:fs';
    const get = (of, name) => {
      if (name === 'MODEL' && existsSync(${JSON.stringify(marker)})) throw new Error('no memory left');
      return of[name];
    };
    process.env = new Proxy(process.env, { get });`;
  const config = { models: { m: { provider: 'a', model: '${MODEL}' } } };
  const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(module)}`];
  const gateway = await start(t, { config, nodeArgs, env: { MODEL: 'up' } });
  writeFileSync(marker, '');
  const { status, text } = await reload(gateway);
  assert.equal(status, 422, text);
  assert.deepEqual(JSON.parse(text).problems, ['it cannot be read: no memory left']);
  await gateway.process.line('the configuration was not reloaded: the running one stays');
  rmSync(marker);
  assert.equal((await reload(gateway)).status, 200);
});
