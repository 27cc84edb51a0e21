/** Who asks one gateway for a stream of which Redis has not heard, or not yet. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { tenant } from '../gateways/kit.ts';
import { startGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis.ts';
import { ACME, errorOf } from './kit.ts';

const DRAIN = 100;

/** A gateway whose time stands still, and that is asked for a stream that is nowhere: it looks, and waits to look again. */
async function asked(t: TestContext, method: 'GET' | 'DELETE', server: JsonObject = {}) {
  const redis = await startRedis(t);
  const clock = new ManualClock();
  const gateway = await startGateway(
    {
      auth: 'keys',
      tenants: [tenant('acme', [])],
      state: { redis: redis.url },
      server: { drain_timeout: `${DRAIN}ms`, ...server },
      providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9/v1' } },
      models: { m: { provider: 'a', model: 'up' } },
    },
    { clock },
  );
  t.after(() => gateway.close());
  const looks = async () => {
    const text = String(await redis.call('INFO', 'commandstats'));
    const counts = [...text.matchAll(/^cmdstat_hmget:calls=(\d+)/gm)].map(([, count]) => Number(count));
    return counts[0] ?? 0;
  };
  const before = await looks();
  const leaving = new AbortController();
  const { signal } = leaving;
  const ask = () => fetch(`${gateway.origin}/v1/streams/nowhere`, { method, headers: ACME, signal });
  const answer = ask();
  await until(async () => (await looks()) > before, 'a look');
  return { gateway, clock, ask, answer, leaving, looks };
}

describe('a request for a stream that may be on its way', () => {
  for (const method of ['GET', 'DELETE'] as const) {
    it(`is told to ask elsewhere when the gateway ends meanwhile (${method})`, async (t) => {
      const { gateway, clock, answer } = await asked(t, method);
      const drained = gateway.app.drain();
      clock.advance(DRAIN);
      const response = await answer;
      assert.equal(response.headers.get('x-should-retry'), null);
      assert.equal(response.headers.get('retry-after'), '1');
      const { status, code } = await errorOf(response);
      assert.deepEqual([status, code], [503, 'server_shutting_down']);
      await drained;
    });

    it(`is not looked for any more when its client has left (${method})`, async (t) => {
      const { gateway, clock, answer, leaving, looks } = await asked(t, method);
      leaving.abort();
      await assert.rejects(answer);
      await until(async () => (await gateway.metric('spillway_in_flight')) === 0, 'it to be over');
      const before = await looks();
      await clock.advanceAsync(1_000);
      await gateway.metrics();
      assert.equal(await looks(), before);
    });
  }

  it('is not waited for by whose tenant has no place left, lest it takes those of others', async (t) => {
    const { ask, answer, leaving } = await asked(t, 'DELETE', { max_in_flight: 1 });
    const { status, code } = await errorOf(await ask());
    assert.deepEqual([status, code], [404, 'stream_not_found']);
    leaving.abort();
    await assert.rejects(answer);
  });
});
