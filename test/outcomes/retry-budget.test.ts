import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { apiError, plain } from '../support/upstream.ts';
import { ask, openGateway, openUpstream, PacedClock, provider } from './helpers.ts';

const DENIED = 'spillway_retries_denied_total{upstream="a/m#1"}';

async function scene(t: TestContext, budget: object, keys: string[] = []) {
  const clock = new PacedClock();
  const a = await openUpstream(t, () => apiError(503));
  const b = await openUpstream(t);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a, ...keys), b: provider(b) },
      models: { m: { strategy: { mode: 'fallback' }, targets: [{ provider: 'a' }, { provider: 'b' }] } },
      defaults: {
        retry: { attempts: 1, backoff: { base: '0' }, budget },
        breaker: { consecutive_failures: 100, min_requests: 100 },
      },
    },
    { clock },
  );
  return { a, b, gateway, clock };
}

describe('The retry budget of an upstream', () => {
  it('denies a retry when it is spent: the next target is tried at once, and the denial is counted', async (t) => {
    const { a, gateway, clock } = await scene(t, { ratio: 0, min_per_second: 0 });
    assert.equal(await gateway.metric(DENIED), null);
    const seen = await ask(gateway);
    assert.equal(seen.headers.get('x-spillway-target'), 'b/m');
    assert.equal(a.requests.length, 1);
    assert.deepEqual(clock.sleeps, []);
    assert.equal(await gateway.metric(DENIED), 1);
  });

  it('is shared by all requests of the process', async (t) => {
    const { a, gateway, clock } = await scene(t, { ratio: 0, min_per_second: 2 });
    for (let i = 0; i < 5; i++) await ask(gateway);
    assert.equal(a.requests.length, 5 + 2);
    assert.equal(await gateway.metric(DENIED), 3);

    clock.advance(1000);
    for (let i = 0; i < 5; i++) await ask(gateway);
    assert.equal(a.requests.length, 2 * (5 + 2));
  });

  it('allows a share of the requests', async (t) => {
    const { a, gateway } = await scene(t, { ratio: 0.5, min_per_second: 0 });
    for (let i = 0; i < 10; i++) await ask(gateway);
    assert.equal(a.requests.length, 10 + 5);
  });

  it('is nothing to another key: that is its first try, not a retry', async (t) => {
    const { a, gateway } = await scene(t, { ratio: 0, min_per_second: 0 }, ['key-one', 'key-two']);
    a.reply(({ headers }) =>
      headers['authorization'] === 'Bearer key-one' ? apiError(429) : plain({ json: { choices: [{}] } }),
    );
    const seen = await ask(gateway);
    assert.equal(seen.headers.get('x-spillway-target'), 'a/m');
    assert.equal(a.requests.length, 2);
    assert.equal(await gateway.metric(DENIED), null);
  });
});
