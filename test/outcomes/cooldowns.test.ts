import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { apiError, type Script } from '../support/upstream.ts';
import {
  ask,
  keysSeen,
  lineOf,
  openGateway,
  openUpstream,
  PacedClock,
  provider,
  rowOf,
  triesOf,
  until,
} from './helpers.ts';

const limited = (seconds: number) => apiError(429, {}, { 'retry-after': String(seconds) });

interface Scene {
  keys?: string[];
  settings?: object;
  mode?: string;
  clock?: PacedClock;
}

/** Target `a` and then `b`, each asked once, first with these answers. */
async function scene(t: TestContext, failures: { a: Script[]; b: Script[] }, options: Scene = {}) {
  const { keys = ['key-a'], settings = {}, mode = 'fallback', clock = new PacedClock() } = options;
  const a = await openUpstream(t);
  const b = await openUpstream(t);
  a.enqueue(...failures.a);
  b.enqueue(...failures.b);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a, ...keys), b: provider(b, 'key-b') },
      models: {
        m: { strategy: { mode }, targets: [{ provider: 'a' }, { provider: 'b' }] },
        alone: { provider: 'a', model: 'm' },
      },
      defaults: { retry: { attempts: 0 }, ...settings },
    },
    { clock, chance: () => 0 },
  );
  return { a, b, gateway, clock };
}

for (const mode of ['fallback', 'loadbalance']) {
  describe(`A target whose keys are all cooling down, in a ${mode}`, () => {
    it('is skipped without a try', async (t) => {
      const { a, b, gateway, clock } = await scene(t, { a: [limited(60)], b: [] }, { mode });
      await ask(gateway);
      for (let i = 0; i < 3; i++) {
        const seen = await ask(gateway);
        assert.equal(seen.headers.get('x-spillway-target'), 'b/m');
        assert.equal(seen.headers.get('x-spillway-attempts'), '1');
      }
      assert.equal(a.requests.length, 1);
      assert.equal(b.requests.length, 4);
      assert.deepEqual(clock.sleeps, []);

      clock.advance(60_000);
      assert.equal((await ask(gateway)).headers.get('x-spillway-target'), 'a/m');
    });
  });
}

describe('When nothing else is left', () => {
  it('the shortest cooldown is waited for', async (t) => {
    const { a, b, gateway, clock } = await scene(t, { a: [limited(8)], b: [limited(5)] });
    const refused = await ask(gateway);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '5');
    assert.deepEqual(clock.sleeps, []);

    const seen = await ask(gateway);
    assert.equal(seen.status, 200);
    assert.equal(seen.headers.get('x-spillway-target'), 'b/m');
    assert.equal(seen.headers.get('x-spillway-attempts'), '1');
    assert.deepEqual(clock.sleeps, [5000]);
    assert.equal(a.requests.length, 1);
    assert.equal(b.requests.length, 2);
  });

  it('the next cooldown is waited for if the first one that is over brings a failure', async (t) => {
    const { gateway, clock } = await scene(t, { a: [limited(8)], b: [limited(5), apiError(503)] });
    await ask(gateway);
    const seen = await ask(gateway);
    assert.equal(seen.status, 200);
    assert.equal(seen.headers.get('x-spillway-target'), 'a/m');
    assert.deepEqual(clock.sleeps, [5000, 3000]);
    assert.deepEqual(triesOf(await lineOf(gateway, 2)), ['b/m overloaded 503', 'a/m ok 200']);
  });

  it('what is left of a cooldown is waited for, not what was left when it was looked at', async (t) => {
    const { b, gateway, clock } = await scene(
      t,
      { a: [limited(12)], b: [] },
      { settings: { retry: { attempts: 1 } } },
    );
    await ask(gateway);
    clock.advance(3000);
    b.enqueue(apiError(503, {}, { 'retry-after': '4' }), apiError(503));
    // `a` has 9 s to go when it is skipped. `b` is asked twice, 4 s apart, and then only the rest is waited for.
    const seen = await ask(gateway);
    assert.equal(seen.headers.get('x-spillway-target'), 'a/m');
    assert.deepEqual(clock.sleeps, [4000, 5000]);
  });

  it('one target alone is waited for as well', async (t) => {
    const { gateway, clock } = await scene(t, { a: [limited(4)], b: [] });
    await ask(gateway, { model: 'alone' });
    assert.equal((await ask(gateway, { model: 'alone' })).status, 200);
    assert.deepEqual(clock.sleeps, [4000]);
  });

  it('a cooldown beyond `max_retry_after` is not waited for: 503 with what is left of it', async (t) => {
    const { a, gateway, clock } = await scene(t, { a: [limited(11)], b: [limited(70)] });
    assert.equal((await ask(gateway)).status, 429);
    clock.advance(500);
    const seen = await ask(gateway);
    assert.equal(seen.status, 503);
    assert.equal(seen.error?.code, 'no_healthy_upstream');
    assert.equal(seen.headers.get('retry-after'), '11');
    assert.equal(seen.headers.get('retry-after-ms'), '10500');
    assert.equal(seen.headers.get('x-should-retry'), null);
    assert.equal(seen.headers.get('x-spillway-attempts'), '0');
    assert.ok(seen.error?.message.includes('a/m: skipped, its keys are cooling down'), seen.error?.message);
    assert.ok(seen.error?.message.includes('b/m: skipped, its keys are cooling down'), seen.error?.message);
    assert.deepEqual(clock.sleeps, []);
    assert.equal(a.requests.length, 1);
    const line = await lineOf(gateway, 2);
    assert.equal(line.outcome, 'unanswered');
    assert.deepEqual(line.tries, []);
  });

  it('a wait of over a minute is told together with `x-should-retry: false`', async (t) => {
    const { gateway } = await scene(t, { a: [apiError(401)], b: [] });
    assert.equal((await ask(gateway, { model: 'alone' })).status, 502);
    const seen = await ask(gateway, { model: 'alone' });
    assert.equal(seen.status, 503);
    assert.equal(seen.headers.get('retry-after'), '300');
    assert.equal(seen.headers.get('x-should-retry'), 'false');
  });

  it('a cooldown beyond the deadline is not waited for', async (t) => {
    const { gateway, clock } = await scene(
      t,
      { a: [limited(5)], b: [] },
      { settings: { retry: { attempts: 0 }, timeouts: { total: '5s' } }, clock: new PacedClock(() => false) },
    );
    await ask(gateway, { model: 'alone' });
    const seen = await ask(gateway, { model: 'alone' });
    assert.equal(seen.status, 503);
    assert.equal(seen.headers.get('retry-after'), '5');
    assert.equal(clock.now(), 0);
  });

  it('a client that leaves meanwhile is waited for no longer', async (t) => {
    const { a, b, gateway, clock } = await scene(
      t,
      { a: [limited(8)], b: [limited(5)] },
      { clock: new PacedClock(() => false) },
    );
    await ask(gateway);
    const leaving = new AbortController();
    gateway.chat({}, {}, leaving.signal).catch(() => {});
    await until(() => clock.pending === 1);
    leaving.abort();
    const line = await lineOf(gateway, 2);
    assert.equal(line.status, 499);
    assert.equal(line.outcome, 'client_gone');
    assert.equal(clock.pending, 0);
    assert.equal(a.requests.length + b.requests.length, 2);
  });
});

describe('A retry', () => {
  it('is not made where another request was told meanwhile to leave the key alone', async (t) => {
    const { a, b, gateway, clock } = await scene(
      t,
      { a: [apiError(503, {}, { 'retry-after': '5' }), limited(60)], b: [] },
      { settings: { retry: { attempts: 2 } }, clock: new PacedClock(() => false) },
    );
    const first = ask(gateway);
    await until(() => clock.pending === 1 && a.requests.length === 1);
    assert.equal((await ask(gateway)).headers.get('x-spillway-target'), 'b/m');
    clock.advance(5000);
    assert.equal((await first).headers.get('x-spillway-target'), 'b/m');
    assert.equal(a.requests.length, 2);
    assert.equal(b.requests.length, 2);
  });

  it('is made with another key then, if there is one', async (t) => {
    const { a, gateway, clock } = await scene(
      t,
      { a: [apiError(503, {}, { 'retry-after': '5' })], b: [] },
      { keys: ['key-1', 'key-2'], settings: { retry: { attempts: 2 } }, clock: new PacedClock(() => false) },
    );
    const first = ask(gateway);
    await until(() => clock.pending === 1 && a.requests.length === 1);
    // The second request has the second key, the third the first one again.
    await ask(gateway);
    a.enqueue(limited(60));
    await ask(gateway);
    assert.equal((await rowOf(gateway, 'a/m#1')).cooldown_until !== null, true);
    clock.advance(5000);
    assert.equal((await first).headers.get('x-spillway-target'), 'a/m');
    assert.deepEqual(keysSeen(a), ['key-1', 'key-2', 'key-1', 'key-2', 'key-2']);
  });
});
