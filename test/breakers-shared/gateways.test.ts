import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { startRedis, until } from '../support/redis.ts';
import { apiError, chatAnswer, Gate, pauseUntil, startUpstream } from '../support/upstream.ts';

/** Two gateways on one Redis, whose model `m` is the target `a/up`, with `b/up` behind it. */
async function startTwo(t: TestContext, breaker: object = {}) {
  const redis = await startRedis(t);
  const upstream = await startUpstream();
  const second = await startUpstream();
  const config = {
    state: { redis: redis.url, command_timeout: '300ms' },
    providers: {
      a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-first' },
      b: { adapter: 'openai', base_url: second.url, api_key: 'sk-second' },
    },
    models: {
      m: {
        strategy: { mode: 'fallback' },
        retry: { attempts: 0 },
        breaker: { consecutive_failures: 3, min_requests: 100, share: true, open_for: '1500ms', ...breaker },
        targets: [
          { provider: 'a', model: 'up' },
          { provider: 'b', model: 'up' },
        ],
      },
    },
  };
  const gateways = [await startGateway(config), await startGateway(config)] as const;
  t.after(async () => {
    for (const gateway of gateways) await gateway.close();
    await upstream.close();
    await second.close();
  });
  const ask = async (gateway: (typeof gateways)[number]) => {
    const response = await gateway.chat();
    await response.text();
    assert.equal(response.status, 200);
    return response.headers.get('x-spillway-target');
  };
  const rowOf = async (gateway: (typeof gateways)[number]) =>
    (await gateway.upstreams()).find(({ id }) => id === 'a/up#1');
  const isOpen = async (gateway: (typeof gateways)[number]) => (await rowOf(gateway))?.breaker === 'open';
  return { redis, upstream, gateways, ask, isOpen, rowOf };
}

describe('gateways that share their breakers', () => {
  it('try a dead upstream in one place only, once in each open period, and are all back when it is', async (t) => {
    const { upstream, gateways, ask, isOpen, rowOf } = await startTwo(t);
    const [one, two] = gateways;
    upstream.reply(() => apiError(503));
    for (let i = 0; i < 3; i++) assert.equal(await ask(one), 'b/up');
    const from = performance.now();
    await until(() => isOpen(two), 'the other to open');
    assert.ok(performance.now() - from < 1000);
    assert.equal(upstream.requests.length, 3);
    assert.equal((await rowOf(two))?.opens, 1);
    assert.ok(two.logs.some(({ fields }) => /^opened by another gateway/.test(String(fields['why']))));

    // More than one period of requests at both: one probe.
    const end = performance.now() + 1900 - (performance.now() - from);
    while (performance.now() < end) {
      for (const gateway of gateways) assert.equal(await ask(gateway), 'b/up');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(upstream.requests.length, 4);

    upstream.reply(() => chatAnswer());
    await until(async () => (await ask(two)) === 'a/up', 'the probe after the second period');
    await until(async () => (await ask(one)) === 'a/up', 'the other to close', 1000);
  });

  it('make one probe between them where many requests come at once', async (t) => {
    const { upstream, gateways, ask, isOpen } = await startTwo(t);
    const [one, two] = gateways;
    upstream.reply(() => apiError(503));
    for (let i = 0; i < 3; i++) await ask(one);
    await until(() => isOpen(two), 'the other to open');
    const gate = new Gate();
    upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    await new Promise((resolve) => setTimeout(resolve, 1750));
    const asked = Promise.all(Array.from({ length: 20 }, (_, i) => ask(i % 2 === 0 ? one : two)));
    await upstream.waitFor(4);
    await until(() => one.requests.length + two.requests.length === 3 + 19, 'all but the probe');
    assert.equal(upstream.requests.length, 4);
    gate.open();
    const targets = await asked;
    assert.equal(targets.filter((target) => target === 'a/up').length, 1);
  });

  it('answer as ever while Redis hangs', async (t) => {
    const { redis, upstream, gateways, ask, isOpen } = await startTwo(t);
    const [one, two] = gateways;
    upstream.reply(() => apiError(503));
    for (let i = 0; i < 3; i++) await ask(one);
    await until(() => isOpen(two), 'the other to open');
    redis.freeze();
    await new Promise((resolve) => setTimeout(resolve, 1750));
    upstream.reply(() => chatAnswer());
    for (const gateway of gateways) {
      const from = performance.now();
      assert.equal(await ask(gateway), 'a/up');
      assert.ok(performance.now() - from < 2000);
    }
    redis.thaw();
  });

  it('do not hear of breakers that are not shared', async (t) => {
    const { redis, upstream, gateways, ask, isOpen } = await startTwo(t, { share: false });
    const [one, two] = gateways;
    upstream.reply(() => apiError(503));
    for (let i = 0; i < 3; i++) await ask(one);
    assert.ok(await isOpen(one));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.equal(await isOpen(two), false);
    assert.deepEqual(await redis.call('KEYS', '*breakers*'), []);
  });
});
