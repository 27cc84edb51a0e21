/** Several workers on one Redis: what is counted and kept is counted and kept once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onFreePorts } from '../support/process.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { chatAnswer, Gate, pauseUntil } from '../support/upstream.ts';
import { type Gateway, shortly, start } from './kit.ts';

type Starter = Parameters<typeof startRedis>[0];

async function startOnRedis(t: Starter, tenants: readonly object[], redis?: RedisServer): Promise<Gateway> {
  const state = { redis: (redis ?? (await startRedis(t))).url, command_timeout: '5s' };
  return await start(t, { config: { auth: 'keys', state, tenants } });
}

const AGAIN = 'a worker accepts requests again';
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const KEY = 'sw-the-key-of-acme-0123456789';
const ACME = { id: 'acme', keys: [{ id: 'k', key: KEY }] };

describe('several workers on one Redis', () => {
  it('admit just as many requests as a quota allows', async (t) => {
    const quotas = [{ limit: 20, of: 'requests', per: 'hour' }];
    const gateway = await startOnRedis(t, [{ ...ACME, quotas }]);
    const asked = Array.from({ length: 50 }, () => gateway.chat({}, bearer(KEY)));
    const seen = await Promise.all(asked);
    assert.equal(seen.filter(({ status }) => status === 200).length, 20);
    assert.equal(seen.filter(({ status }) => status === 429).length, 30);
    assert.equal(new Set(seen.map(({ worker }) => worker)).size, 2);
    const { total } = JSON.parse((await gateway.operator('GET', '/admin/usage')).text);
    assert.equal(total.requests, 20);
  });

  it('tell what all have used, one that has died since included, and nothing where one does not answer', async (t) => {
    const gateway = await startOnRedis(t, [ACME]);
    const usage = () => gateway.operator('GET', '/admin/usage');
    for (let i = 0; i < 4; i++) assert.equal((await gateway.chat({}, bearer(KEY))).status, 200);
    assert.equal(JSON.parse((await usage()).text).total.requests, 4);
    const [pid = 0] = gateway.workers();
    process.kill(pid, 'SIGSTOP');
    const unanswered = await usage();
    assert.deepEqual(shortly(unanswered), [503, 'state_unavailable']);
    assert.match(unanswered.text, /Worker [12] does not answer/);
    const asked = usage();
    process.kill(pid, 'SIGKILL');
    assert.equal(JSON.parse((await asked).text).total.requests, 4);
  });

  it('hold to quotas as the file now has them, with what was used before', async (t) => {
    const of = (limit: number) => [{ ...ACME, quotas: [{ limit, of: 'requests', per: 'day' }] }];
    const gateway = await startOnRedis(t, of(2));
    const statuses = async (count: number) => {
      const seen: number[] = [];
      for (let i = 0; i < count; i++) seen.push((await gateway.chat({}, bearer(KEY))).status);
      return seen;
    };
    assert.deepEqual(await statuses(4), [200, 200, 429, 429]);
    gateway.process.writeConfig(onFreePorts({ ...gateway.config, tenants: of(5) }));
    gateway.process.child.kill('SIGHUP');
    await gateway.process.line('reloaded');
    assert.deepEqual(await statuses(5), [200, 200, 200, 429, 429]);
  });

  it('all know of a tenant, and of the end of its key, when the answer comes that says so', async (t) => {
    const gateway = await startOnRedis(t, []);
    const made = await gateway.operator('POST', '/admin/tenants', { id: 'new', keys: [{ id: 'ci' }] });
    assert.equal(made.status, 201, made.text);
    const { key } = JSON.parse(made.text).keys[0];
    for (let i = 0; i < 2; i++) assert.equal((await gateway.chat({}, bearer(key))).status, 200);
    assert.equal((await gateway.operator('DELETE', '/admin/tenants/new/keys/ci')).status, 204);
    for (let i = 0; i < 2; i++) assert.equal((await gateway.chat({}, bearer(key))).status, 401);
    const again = await gateway.operator('POST', '/admin/tenants', { id: 'new' });
    assert.deepEqual(shortly(again), [409, 'tenant_exists']);
    const wrong = await gateway.operator('PATCH', '/admin/tenants/new', { models: 5 });
    assert.equal(wrong.status, 400);
  });

  it('count as before for a tenant of the admin API when one begins while Redis is away', async (t) => {
    const redis = await startRedis(t, { config: { appendonly: 'yes', appendfsync: 'always' } });
    const gateway = await startOnRedis(t, [], redis);
    const made = await gateway.operator('POST', '/admin/tenants', { id: 'new', keys: [{ id: 'ci' }] });
    const { key } = JSON.parse(made.text).keys[0];
    for (let i = 0; i < 4; i++) assert.equal((await gateway.chat({}, bearer(key))).status, 200);
    const series = 'spillway_requests_total{tenant="new",model="m",status="200"}';
    assert.equal(await gateway.metric(series), 4);
    await redis.stop();
    const victims = gateway.workers();
    for (const pid of victims) {
      const before = gateway.said(AGAIN).length;
      process.kill(pid, 'SIGKILL');
      await until(() => gateway.said(AGAIN).length > before, 'another in its place');
      for (let i = 0; i < 3; i++) assert.equal(await gateway.metric(series), 4);
    }
    await redis.start();
    await until(
      async () => (await gateway.operator('GET', '/admin/tenants/new')).status === 200,
      'the tenant to be known again',
    );
    for (let i = 0; i < 3; i++) assert.equal(await gateway.metric(series), 4);
    assert.equal((await gateway.operator('DELETE', '/admin/tenants/new')).status, 204);
    assert.equal(await gateway.metric(series), 4, 'shown once more');
    await until(async () => (await gateway.metric(series)) === null, 'it to be dropped');
  });

  it('run a request with an Idempotency-Key once, whoever of them it comes to', async (t) => {
    const gateway = await startOnRedis(t, [ACME]);
    const gate = new Gate();
    gateway.upstream.enqueue([pauseUntil(gate), chatAnswer({ content: 'once' })]);
    const headers = { ...bearer(KEY), 'idempotency-key': 'the-same' };
    const asked = Array.from({ length: 4 }, () => gateway.chat({}, headers));
    await gateway.upstream.waitFor(1);
    gate.open();
    const seen = await Promise.all(asked);
    for (const { status, text } of seen) {
      assert.equal(status, 200);
      assert.match(text, /once/);
    }
    assert.equal(new Set(seen.map(({ worker }) => worker)).size, 2);
    assert.equal(gateway.upstream.requests.length, 1);
  });
});
