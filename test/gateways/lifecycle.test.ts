/** Gateways that start and stop while Redis is away, or have something left to tell it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HICCUP } from '../support/hiccup.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { ANSWER, atOnce, type Member, PROMPT, settled, startFleet, tally, tenant } from './kit.ts';

type Mode = 'local' | 'deny' | 'allow';

/** Milliseconds. */
const TIMEOUT = 500;
/** For the tests whose matter is not that Redis is slow. Milliseconds. */
const PATIENT = 5000;

const small = tenant('small', [
  { limit: 40, of: 'requests', per: 'hour' },
  { limit: 100_000_000, of: 'tokens', per: 'hour' },
]);

async function one(
  t: Parameters<typeof startRedis>[0],
  redis: Pick<RedisServer, 'url'>,
  mode: Mode,
  more: { config?: object; prefix?: string; timeout?: number } = {},
) {
  const { members, upstream } = await startFleet(t, {
    count: 1,
    state: {
      redis: redis.url,
      command_timeout: `${more.timeout ?? TIMEOUT}ms`,
      on_outage: mode,
      key_prefix: more.prefix ?? mode,
    },
    tenants: [small, tenant('free', [])],
    config: more.config ?? {},
  });
  return { gateway: members[0] as Member, upstream };
}

describe('a gateway that starts while Redis is away', () => {
  it('comes up, says so once, serves as its mode says, and joins when Redis is there', async (t) => {
    const redis = await startRedis(t);
    await redis.kill();
    const modes = ['local', 'deny', 'allow'] as const;
    const gateways = await Promise.all(modes.map(async (mode) => ({ mode, ...(await one(t, redis, mode)) })));
    const expected = { local: { 200: 40, 429: 10 }, deny: { 503: 50 }, allow: { 200: 50 } } as const;
    for (const { mode, gateway } of gateways) {
      assert.deepEqual(tally(await Promise.all(atOnce([gateway], 50, 'small'))), expected[mode], mode);
      assert.equal(await gateway.storeUp(), false);
      assert.equal(await gateway.ready(), mode === 'deny' ? 503 : 200);
      assert.equal((await gateway.operator('GET', '/admin/usage')).status, 503);
      // Who has no quotas needs no Redis.
      assert.equal((await gateway.chat('free')).status, 200);
      // One that may have been made through the admin API of another gateway.
      const unknown = await gateway.chat('sw-of-somebody-that-nobody-knows-here');
      assert.equal(unknown.status, 503);
      assert.match(unknown.text, /state_unavailable/);
    }
    await redis.start();
    for (const { mode, gateway } of gateways) {
      await until(() => gateway.storeUp(), `${mode} to join`);
      assert.equal(await gateway.ready(), 200);
      const used = { local: 40, deny: 0, allow: 50 }[mode];
      await until(
        async () => (await settled(gateway, 'small'))['requests'] === used,
        `${used} to be written`,
      );
      assert.equal((await gateway.sums('small')).requests, used);
      assert.equal((await gateway.sums('free')).requests, 1);
      assert.equal((await settled(gateway, 'small'))['tokens'], used * (PROMPT + ANSWER));
      assert.equal((await gateway.chat('small')).status, mode === 'deny' ? 200 : 429);
      await until(async () => (await gateway.chat('sw-of-nobody')).status === 401, 'tenants to be known');
      assert.equal(gateway.said(/^redis is away/).length, 1);
      assert.equal(gateway.said(/^redis is back/).length, 1);
      assert.ok(gateway.said(/./).filter(({ level }) => level >= 40).length <= 3);
    }
  });

  it('comes up though Redis takes connections and says nothing', async (t) => {
    const redis = await startRedis(t);
    const started = async (prefix: string) => {
      const began = performance.now();
      const { gateway } = await one(t, redis, 'local', { prefix });
      return { gateway, took: performance.now() - began };
    };
    const { took: usual } = await started('usual');
    redis.freeze();
    const { gateway, took } = await started('local');
    assert.ok(took < 2 * usual + 3 * TIMEOUT + HICCUP, `${took} ms, usually ${usual} ms`);
    assert.equal((await gateway.chat('small')).status, 200);
    redis.thaw();
    await until(() => gateway.storeUp(), 'it to join');
    await until(
      async () => (await settled(gateway, 'small'))['requests'] === 1,
      'what was used to be written',
    );
  });
});

describe('a gateway that is told to stop', () => {
  it('while Redis is away ends within its drain timeout, with status 0', async (t) => {
    const redis = await startRedis(t);
    const config = { server: { heartbeat: '0', drain_timeout: '300ms' } };
    const { gateway, upstream } = await one(t, redis, 'local', { config });
    const { gateway: idle } = await one(t, redis, 'deny', { config });
    assert.equal((await gateway.chat('small')).status, 200);
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate)] }));
    const stream = gateway.chat('small', { stream: true });
    await gate.reached();
    redis.freeze();
    const began = performance.now();
    assert.deepEqual(await Promise.all([gateway.stop(), idle.stop()]), [ENDED, ENDED]);
    const took = performance.now() - began;
    assert.ok(took < 300 + 500 + 2 * TIMEOUT + HICCUP, `${took} ms`);
    assert.match((await stream).text, /"error"/);
    for (const member of [gateway, idle]) {
      assert.equal(member.process.stderr, '');
      assert.equal(member.said(/^stopped$/).length, 1);
    }
  });

  it('writes what is not yet written, also of those that it cuts off', async (t) => {
    const redis = await startRedis(t);
    const proxy = await startTcpProxy(t, redis.port);
    const config = { server: { heartbeat: '0', drain_timeout: '300ms' } };
    const { gateway, upstream } = await one(t, proxy, 'local', { config, prefix: 'stop', timeout: PATIENT });
    const { gateway: other } = await one(t, redis, 'local', { prefix: 'stop', timeout: PATIENT });
    const gate = new Gate();
    upstream.enqueue(
      ...Array.from({ length: 5 }, () => chatStream({ content: ['Hello', pauseUntil(gate)] })),
    );
    const cut = Array.from({ length: 5 }, () => gateway.chat('small', { stream: true }));
    await gate.reached(5);
    // Redis is slow to answer: settlements pile up behind the one that is on its way.
    proxy.toClient.delay = 125;
    const seen = await Promise.all(atOnce([gateway], 20, 'small'));
    assert.deepEqual(tally(seen), { 200: 20 });
    assert.deepEqual(await gateway.stop(), ENDED);
    for (const { text } of await Promise.all(cut)) assert.match(text, /"error"/);

    // All of it is there at once, and nothing is left of it.
    const used = Object.fromEntries(
      (await other.usage('small')).map(({ of, used, reserved }) => [of, [used, reserved]]),
    );
    const sums = await other.sums('small');
    assert.equal(sums.requests, 25);
    assert.deepEqual(used, { requests: [25, 0], tokens: [sums.input_tokens + sums.output_tokens, 0] });
    assert.ok(sums.input_tokens === 25 * PROMPT && sums.output_tokens > 20 * ANSWER, JSON.stringify(sums));
    assert.deepEqual(
      await redis.call('ZRANGE', 'stop:{!}:gateways', 0, -1).then((all) => (all as []).length),
      1,
    );
  });

  it('writes what was used while Redis was away, when it has just come back', async (t) => {
    const redis = await startRedis(t, { config: { appendonly: 'yes' } });
    const { gateway } = await one(t, redis, 'allow', { prefix: 'back', timeout: PATIENT });
    await redis.kill();
    await until(async () => !(await gateway.storeUp()), 'the outage to be seen');
    assert.deepEqual(tally(await Promise.all(atOnce([gateway], 50, 'small'))), { 200: 50 });
    await redis.start();
    await until(() => gateway.storeUp(), 'the return');
    assert.deepEqual(await gateway.stop(), ENDED);
    const { gateway: next } = await one(t, redis, 'allow', { prefix: 'back', timeout: PATIENT });
    assert.deepEqual(await settled(next, 'small'), { requests: 50, tokens: 50 * (PROMPT + ANSWER) });
    assert.equal((await next.sums('small')).requests, 50);
  });
});

const ENDED = { code: 0, signal: null };
