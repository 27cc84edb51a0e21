import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Clock } from '../../src/core/clock.ts';
import { startGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { apiError, startUpstream } from '../support/upstream.ts';
import type { Tree } from './model.ts';
import { cooling, fails, fallback, OK, open, run, S400, S500, target } from './run.ts';

/** What is called and waited for, in order: `a b 2000 b`. */
async function steps(tree: Tree, total?: number): Promise<string> {
  const { story } = await run(tree, undefined, total);
  const first = story.calls.slice(0, story.calls.length - story.waits.length);
  const then = story.waits.map(({ id, ms }) => `${ms}ms ${id}`);
  return [...first, ...then].join(' ');
}

describe('when nothing else is left', () => {
  it('the shortest cooldown is waited for', async () => {
    const tree = fallback([target('a', cooling(3000)), target('b', S500), target('c', cooling(2000))]);
    assert.equal(await steps(tree), 'a b c 2000ms c');
  });

  it('the other cooldowns are waited for after it, for as long as they have left', async () => {
    const tree = fallback([target('a', cooling(3000), OK), target('b', cooling(2000), S500)]);
    assert.equal(await steps(tree), 'a b 2000ms b 1000ms a');
  });

  it('the time that other targets took is no longer waited for', async () => {
    const slow = target('b', S500, OK, { takes: 2500 });
    assert.equal(await steps(fallback([target('a', cooling(3000)), slow])), 'a b 500ms a');
    // 12 s were too long when it was skipped, and are not any more.
    assert.equal(await steps(fallback([target('a', cooling(12_000)), slow])), 'a b 9500ms a');
    const later = target('c', cooling(1000));
    assert.equal(await steps(fallback([target('a', cooling(3000)), slow, later])), 'a b c 500ms a');
  });

  it('no cooldown is waited for that is beyond max_retry_after or the deadline', async () => {
    assert.equal(await steps(target('a', cooling(10_001))), 'a');
    assert.equal(await steps(target('a', cooling(5000)), 5000), 'a');
  });

  it('an open breaker is never waited for', async () => {
    const { story, verdict } = await run(fallback([target('a', open(4000)), target('b', open(2500))]));
    assert.deepEqual([story.calls, story.waits], [['a', 'b'], []]);
    assert.deepEqual([verdict?.status, verdict?.code], [503, 'no_healthy_upstream']);
    assert.deepEqual([verdict?.retryAfterMs, verdict?.shouldRetry], [2500, null]);
  });

  it('a request that an outcome has ended waits for nothing', async () => {
    assert.equal(await steps(fallback([target('a', cooling(1000)), target('b', S400)])), 'a b');
    assert.equal(await steps(fallback([target('a', cooling(1000)), target('b', S500)], [429])), 'a b');
  });

  it('a failure after the wait is judged by the strategies above it, as any other', async () => {
    const children = [target('a', cooling(1000), S400), target('b', cooling(2000), OK)];
    assert.equal(await steps(fallback(children)), 'a b 1000ms a');
    assert.equal(await steps(fallback(children, [400])), 'a b 1000ms a 1000ms b');
    assert.equal(await steps(fallback([fallback(children, [400])], [500])), 'a b 1000ms a');
  });

  it('the wait that the client is told is the one that came last', async () => {
    const again = fails('rate_limited', 429, 30_000);
    const { verdict } = await run(target('a', cooling(2000), again));
    assert.deepEqual([verdict?.status, verdict?.retryAfterMs], [429, 30_000]);
  });
});

describe('in the gateway', () => {
  it('a request that finds its only key cooling down waits and is answered', async (t) => {
    const { upstream, gateway } = await start(t);
    for (let wait = 20; wait < 40; wait++) {
      upstream.enqueue(apiError(429, {}, { 'retry-after-ms': String(wait) }));
      const refused = await gateway.chat();
      assert.equal(refused.status, 429);
      await refused.text();
      const answered = await gateway.chat();
      assert.equal(answered.status, 200, await answered.text());
    }
  });

  it('a client that leaves during the wait ends it, and nothing more is sent', async (t) => {
    const clock = new ManualClock(1000);
    const { upstream, gateway } = await start(t, clock);
    upstream.enqueue(apiError(429, {}, { 'retry-after': '8' }));
    await (await gateway.chat()).text();
    const timersBefore = clock.pending;
    const leaving = new AbortController();
    const waiting = gateway.chat({}, {}, leaving.signal);
    while (clock.pending === timersBefore) await new Promise(setImmediate);
    leaving.abort();
    await assert.rejects(waiting);
    const line = (await gateway.ended(2))[1];
    assert.deepEqual([line?.outcome, line?.status, line?.tries], ['client_gone', 499, []]);
    assert.equal(clock.pending, timersBefore);
    assert.equal(upstream.requests.length, 1);
  });
});

async function start(t: TestContext, clock?: Clock) {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const config = {
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { m: { provider: 'a', retry: { attempts: 0 } } },
  };
  const gateway = await startGateway(config, clock === undefined ? {} : { clock });
  t.after(() => gateway.close());
  return { upstream, gateway };
}
