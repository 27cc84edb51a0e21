import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ask, openUpstream, provider, read } from '../outcomes/helpers.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { HICCUP } from '../support/hiccup.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { chatAnswer, Gate, pauseUntil } from '../support/upstream.ts';

/** So many gateways in front of the same two providers, of which `a` has limits. */
async function gateways(
  t: TestContext,
  count: number,
  redis: RedisServer,
  limits: object,
  state: object = {},
) {
  const a = await openUpstream(t);
  const b = await openUpstream(t);
  const target = (id: string) => ({ provider: id, model: 'm' });
  const opened = await Promise.all(
    Array.from({ length: count }, async () => {
      const gateway = await startGateway({
        state: { redis: redis.url, ...state },
        providers: { a: { ...provider(a, 'key-a'), limits }, b: provider(b, 'key-b') },
        models: { m: { strategy: { mode: 'fallback' }, targets: [target('a'), target('b')] } },
      });
      t.after(() => gateway.close());
      return gateway;
    }),
  );
  return { a, b, opened };
}

describe('gateways that share a Redis', () => {
  it('let exactly as many requests through to a provider as its limits say, whichever they come to', async (t) => {
    const redis = await startRedis(t);
    const { a, b, opened } = await gateways(t, 2, redis, { requests: '25/hour', tokens: '1000000/hour' });
    const seen = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(opened[i % 2] as TestGateway)));
    assert.ok(seen.every(({ status }) => status === 200));
    assert.deepEqual([a.requests.length, b.requests.length], [25, 35]);
  });

  it('have never more under way with a provider than its limits say', async (t) => {
    const redis = await startRedis(t);
    const { a, opened } = await gateways(t, 2, redis, { concurrent: 3 });
    const gate = new Gate();
    a.reply(() => [pauseUntil(gate), chatAnswer()]);
    const asked = Array.from({ length: 20 }, (_, i) => ask(opened[i % 2] as TestGateway));
    await a.waitFor(3);
    await until(() => ended(opened) === 17, 'the others to go elsewhere');
    assert.equal(a.requests.length, 3);
    gate.open();
    await Promise.all(asked);
    await until(async () => {
      const seen = await read((opened[1] as TestGateway).chat());
      return seen.headers.get('x-spillway-target') === 'a/m';
    }, 'a place');
  });

  for (const mode of ['deny', 'local', 'allow'] as const) {
    it(`answer requests while it is away (${mode})`, async (t) => {
      const redis = await startRedis(t);
      const limits = { requests: '1/hour' };
      const { a, opened } = await gateways(t, 1, redis, limits, {
        on_outage: mode,
        command_timeout: '250ms',
      });
      await redis.kill();
      const [gateway] = opened as [TestGateway];
      const began = performance.now();
      for (let i = 0; i < 3; i++) assert.equal((await ask(gateway)).status, 200);
      assert.ok(performance.now() - began < 1500 + HICCUP);
      assert.equal(a.requests.length, mode === 'local' ? 1 : 3);
    });
  }
});

/** Requests that have ended. */
function ended(opened: readonly { requests: readonly unknown[] }[]): number {
  return opened.reduce((sum, { requests }) => sum + requests.length, 0);
}
