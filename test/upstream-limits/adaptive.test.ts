import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ask, openGateway, openUpstream, provider, settle } from '../outcomes/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { apiError } from '../support/upstream.ts';

/** Provider `a`, asked twenty times a second until it has refused one; its pause is over. Then `b`. */
async function refused(t: TestContext, { adaptive = true, keys = ['key-a'] } = {}) {
  const a = await openUpstream(t);
  const b = await openUpstream(t);
  const clock = new ManualClock();
  const gateway = await openGateway(
    t,
    {
      providers: { a: { ...provider(a, ...keys), adaptive }, b: provider(b, 'key-b') },
      models: {
        m: {
          strategy: { mode: 'fallback' },
          targets: [
            { provider: 'a', model: 'm' },
            { provider: 'b', model: 'm' },
          ],
        },
        alone: { provider: 'a', model: 'm' },
      },
      defaults: { retry: { attempts: 0, max_retry_after: '0s' } },
    },
    { clock, chance: () => 0 },
  );
  for (let i = 0; i < 40; i++) {
    clock.advance(50);
    await ask(gateway);
  }
  a.enqueue(apiError(429, {}, { 'retry-after': '1' }));
  await ask(gateway);
  clock.advance(1000);
  const before = { a: a.requests.length, b: b.requests.length };
  /** Requests that came to each since then. */
  const came = () => [a.requests.length - before.a, b.requests.length - before.b];
  return { a, b, gateway, clock, came };
}

const target = ({ headers }: { headers: Headers }) => headers.get('x-spillway-target');

describe('an upstream that has refused requests as too many', () => {
  it('is asked half as often: what comes too fast waits its turn, and after a second of that goes elsewhere', async (t) => {
    const { gateway, clock, came } = await refused(t);
    const asked = Array.from({ length: 15 }, () => ask(gateway));
    await settle(60);
    assert.deepEqual(came(), [1, 4]);
    for (let i = 2; i <= 11; i++) {
      clock.advance(100);
      await settle(60);
      assert.deepEqual(came(), [i, 4]);
    }
    const targets = (await Promise.all(asked)).map(target);
    assert.equal(targets.filter((one) => one === 'a/m').length, 11);
    assert.equal(clock.pending, 0);
  });

  it('is asked as before where it is not adaptive', async (t) => {
    const { gateway, came } = await refused(t, { adaptive: false });
    await Promise.all(Array.from({ length: 15 }, () => ask(gateway)));
    assert.deepEqual(came(), [15, 0]);
  });

  it('is left out of a request whose time would be over first', async (t) => {
    const { gateway, clock } = await refused(t);
    await ask(gateway);
    const waiting = ask(gateway);
    await settle(60);
    assert.equal(clock.pending > 0, true);
    clock.advance(100);
    assert.equal(target(await waiting), 'a/m');
  });

  it('is no longer waited for by a client that has left, and its turn is the next one’s', async (t) => {
    const { gateway, clock, came } = await refused(t);
    await ask(gateway);
    const left = new AbortController();
    const gone = gateway.chat({}, {}, left.signal).catch(() => 'gone');
    await settle(60);
    const next = ask(gateway);
    await settle(60);
    left.abort();
    assert.equal(await gone, 'gone');
    await settle(60);
    clock.advance(100);
    assert.equal(target(await next), 'a/m');
    assert.deepEqual(came(), [2, 0]);
  });

  it('is what a client is told of where there is nothing else: 503, and when to come again', async (t) => {
    const { gateway, clock } = await refused(t);
    const asked = Array.from({ length: 14 }, () => ask(gateway, { model: 'alone' }));
    await settle(60);
    clock.advance(1000);
    const seen = await Promise.all(asked);
    const [refusal, ...more] = seen.filter(({ status }) => status !== 200);
    assert.equal(more.length, 2);
    assert.equal(refusal?.status, 503);
    assert.equal(refusal.headers.get('retry-after'), '2');
    assert.match(refusal.error?.message ?? '', /a\/m: skipped, it has refused requests as too many/);
  });

  it('with another key is asked with that one, which has a pace of its own', async (t) => {
    const { gateway, came } = await refused(t, { keys: ['key-1', 'key-2'] });
    await Promise.all(Array.from({ length: 4 }, () => ask(gateway)));
    assert.deepEqual(came(), [4, 0]);
  });
});
