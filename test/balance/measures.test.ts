import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Failure } from '../../src/core/outcome.ts';
import type { BreakerSettings } from '../../src/resilience/settings.ts';
import { TargetMeasures } from '../../src/upstream/measures.ts';
import type { Target } from '../../src/upstream/registry.ts';
import { ProviderKey, Upstream } from '../../src/upstream/upstream.ts';
import { ManualClock } from '../support/manual-clock.ts';

const BREAKER: BreakerSettings = {
  window: 30_000,
  minRequests: 20,
  failureRate: 0.5,
  consecutiveFailures: 1,
  openFor: 10_000,
  maxOpenFor: 10_000,
  halfOpenProbes: 1,
  share: false,
};

const REFUSED: Failure = { kind: 'rate_limited', status: 429, message: '', retryAfterMs: 5000, error: null };

/** A target with so many keys. */
function start(keys: number) {
  const clock = new ManualClock();
  const upstreams = Array.from(
    { length: keys },
    (_, index) =>
      new Upstream(
        { provider: 'p', model: 'm', key: new ProviderKey(index + 1, `key-${index}`), modelLabel: 'm' },
        clock,
        () => 0.5,
        () => {},
      ),
  );
  const lanes = upstreams.map((upstream) => ({
    upstream,
    guard: upstream.guard(BREAKER, { ratio: 0.2, minPerSecond: 5 }),
  }));
  const limiter: { isFull: boolean } = { isFull: false };
  const target = { settings: { id: 'p/m' }, lanes, limiter } as unknown as Target;
  const [first, second] = upstreams as [Upstream, Upstream];
  return { clock, target, lanes, limiter, first, second };
}

const STREAMS = new TargetMeasures({ streaming: true, cost: () => 7 });
const PLAIN = new TargetMeasures({ streaming: false, cost: () => null });

describe('what is known of a target', () => {
  it('names it, and asks the request for the cost', () => {
    const { target } = start(1);
    assert.equal(STREAMS.id(target), 'p/m');
    assert.equal(STREAMS.cost(target), 7);
    assert.equal(PLAIN.cost(target), null);
  });

  it('can be asked while one of its keys can', () => {
    const { target, first, second, lanes, clock } = start(2);
    assert.equal(STREAMS.usable(target), true);
    first.failed(REFUSED, 0);
    assert.equal(STREAMS.usable(target), true);
    lanes[1]?.guard.breaker.acquire()?.failure();
    assert.equal(second.admits(), false);
    assert.equal(STREAMS.usable(target), false);
    clock.advance(5000);
    assert.equal(STREAMS.usable(target), true);
  });

  it('cannot be asked while its provider is at its limit', () => {
    const { target, limiter } = start(1);
    limiter.isFull = true;
    assert.equal(STREAMS.usable(target), false);
  });

  it('is as fast as its usable keys are on average, for this kind of request', () => {
    const { target, first, second } = start(2);
    assert.equal(STREAMS.latency(target), null);
    first.speed.stream.content(100);
    assert.equal(STREAMS.latency(target), 100);
    second.speed.stream.content(300);
    assert.equal(STREAMS.latency(target), 200);
    assert.equal(PLAIN.latency(target), null);
    first.speed.plain.content(5000);
    assert.equal(PLAIN.latency(target), 5000);
    second.failed(REFUSED, 0);
    assert.equal(STREAMS.latency(target), 100);
  });

  it('is hoped to be faster than it was while nobody waits for it', () => {
    const { target, first, clock } = start(1);
    first.speed.stream.content(1000);
    clock.advance(30_000);
    assert.equal(STREAMS.latency(target), 500);
    first.speed.stream.begun();
    assert.equal(STREAMS.latency(target), 1000);
  });

  it('has the quantiles of those keys that have enough to say', () => {
    const { target, first, second } = start(2);
    for (let i = 0; i < 30; i++) first.speed.stream.content(100);
    second.speed.stream.content(9000);
    const median = STREAMS.quantile(target, 0.5) ?? 0;
    assert.ok(Math.abs(median - 100) < 5, `${median}`);
    assert.equal(PLAIN.quantile(target, 0.5), null);
  });

  it('is as busy as all its keys together', () => {
    const { target, first, second } = start(2);
    first.inFlight = 2;
    second.inFlight = 3;
    assert.equal(STREAMS.inFlight(target), 5);
  });

  it('has left what its keys have left, nothing where they cool down, all where nothing is known', () => {
    const { target, first, second, clock } = start(2);
    assert.equal(STREAMS.headroom(target), null);
    first.headroom.read({
      'x-ratelimit-limit-requests': '100',
      'x-ratelimit-remaining-requests': '40',
      'x-ratelimit-reset-requests': '1h',
    });
    assert.equal(STREAMS.headroom(target), 0.7);
    second.failed(REFUSED, 0);
    assert.equal(STREAMS.headroom(target), 0.2);
    clock.advance(5000);
    assert.ok((STREAMS.headroom(target) ?? 0) > 0.7);
  });
});
