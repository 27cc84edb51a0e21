import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Breaker, type Permit } from '../../src/resilience/breaker.ts';
import type { BreakerSettings } from '../../src/resilience/settings.ts';
import { ManualClock } from '../support/manual-clock.ts';

const usual: BreakerSettings = {
  window: 30_000,
  minRequests: 20,
  failureRate: 0.5,
  consecutiveFailures: 5,
  openFor: 10_000,
  maxOpenFor: 60_000,
  halfOpenProbes: 1,
  share: false,
};
/** Jitter of nothing. */
const middle = () => 0.5;

function setUp(changes: Partial<BreakerSettings> = {}, chance = middle) {
  const clock = new ManualClock(12_345);
  const transitions: string[] = [];
  const breaker = new Breaker({ ...usual, ...changes }, clock, chance, (to, why) =>
    transitions.push(`${to}: ${why}`),
  );
  return { clock, breaker, transitions };
}

function acquire(breaker: Breaker): Permit {
  const permit = breaker.acquire();
  assert.ok(permit, 'no permit');
  return permit;
}

function fail(breaker: Breaker, times: number): void {
  for (let i = 0; i < times; i++) acquire(breaker).failure();
}

function succeed(breaker: Breaker, times: number): void {
  for (let i = 0; i < times; i++) acquire(breaker).success();
}

/** Open, with the open period just over. */
function setUpReadyToProbe(changes: Partial<BreakerSettings> = {}) {
  const parts = setUp(changes);
  fail(parts.breaker, 5);
  parts.clock.advance(10_000);
  return parts;
}

describe('a closed breaker', () => {
  it('opens after five failures in a row', () => {
    const { breaker, transitions } = setUp();
    fail(breaker, 4);
    assert.equal(breaker.state(), 'closed');
    fail(breaker, 1);
    assert.equal(breaker.state(), 'open');
    assert.equal(breaker.opens, 1);
    assert.deepEqual(transitions, ['open: 5 failures in a row; open for 10000 ms']);
  });

  it('starts counting failures in a row over after a success', () => {
    const { breaker } = setUp();
    fail(breaker, 4);
    succeed(breaker, 1);
    fail(breaker, 4);
    assert.equal(breaker.state(), 'closed');
  });

  it('opens when enough of the recent tries failed, and there were enough of them', () => {
    const { breaker, transitions } = setUp();
    for (let i = 0; i < 9; i++) {
      succeed(breaker, 1);
      fail(breaker, 1);
    }
    assert.equal(breaker.state(), 'closed');
    succeed(breaker, 1);
    fail(breaker, 1);
    assert.equal(breaker.state(), 'open');
    assert.deepEqual(transitions, ['open: 10 of the last 20 tries failed; open for 10000 ms']);
  });

  it('does not open on a success, even one that completes the number of tries to judge by', () => {
    const { breaker } = setUp({ minRequests: 4, consecutiveFailures: 100 });
    fail(breaker, 3);
    succeed(breaker, 1);
    assert.equal(breaker.state(), 'closed');
    fail(breaker, 1);
    assert.equal(breaker.state(), 'open');
  });

  it('forgets tries that are older than its window', () => {
    const { clock, breaker } = setUp({ consecutiveFailures: 100 });
    fail(breaker, 19);
    clock.advance(30_000);
    fail(breaker, 19);
    assert.equal(breaker.state(), 'closed');
    fail(breaker, 1);
    assert.equal(breaker.state(), 'open');
  });

  it('lets any number of tries run at once', () => {
    const { breaker } = setUp();
    const permits = Array.from({ length: 1000 }, () => acquire(breaker));
    assert.ok(breaker.available());
    for (const permit of permits) permit.release();
  });

  it('counts only the first end of a permit', () => {
    const { breaker } = setUp({ consecutiveFailures: 2 });
    const permit = acquire(breaker);
    permit.release();
    permit.failure();
    permit.failure();
    const failed = acquire(breaker);
    failed.failure();
    failed.success();
    assert.equal(breaker.state(), 'closed');
    fail(breaker, 1);
    assert.equal(breaker.state(), 'open');
  });

  it('learns nothing from a try whose client left', () => {
    const { breaker } = setUp();
    fail(breaker, 4);
    acquire(breaker).release();
    fail(breaker, 1);
    assert.equal(breaker.state(), 'open');
  });
});

describe('an open breaker', () => {
  it('gives no permit, and says how long', () => {
    const { clock, breaker } = setUp();
    assert.equal(breaker.retryAfterMs(), null);
    fail(breaker, 5);
    clock.advance(9_999);
    assert.equal(breaker.acquire(), null);
    assert.equal(breaker.available(), false);
    assert.equal(breaker.retryAfterMs(), 1);
  });

  it('is used again by the first request after its time, and is open in name until then', () => {
    const { breaker } = setUpReadyToProbe();
    assert.equal(breaker.state(), 'open');
    assert.equal(breaker.retryAfterMs(), 0);
    assert.ok(breaker.available());
    assert.equal(breaker.state(), 'open');
    assert.ok(breaker.acquire());
    assert.equal(breaker.state(), 'half_open');
    assert.equal(breaker.retryAfterMs(), null);
  });

  it('stays as it is whatever becomes of the tries from before', () => {
    const { clock, breaker, transitions } = setUp();
    const before = Array.from({ length: 4 }, () => acquire(breaker));
    fail(breaker, 5);
    const retryAfter = breaker.retryAfterMs();
    before[0]?.success();
    before[1]?.failure();
    before[2]?.alive();
    assert.equal(breaker.state(), 'open');
    assert.equal(breaker.retryAfterMs(), retryAfter);
    clock.advance(10_000);
    const probe = acquire(breaker);
    before[2]?.success();
    before[3]?.failure();
    assert.equal(breaker.state(), 'half_open');
    probe.success();
    assert.equal(transitions.length, 3);
  });

  it('doubles its period with each failed probe, up to the longest', () => {
    const { clock, breaker } = setUp();
    fail(breaker, 5);
    const periods: (number | null)[] = [];
    for (let i = 0; i < 6; i++) {
      periods.push(breaker.retryAfterMs());
      clock.advance(breaker.retryAfterMs() ?? 0);
      acquire(breaker).failure();
    }
    assert.deepEqual(periods, [10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
    assert.equal(breaker.opens, 7);
  });

  it('starts the doubling over once it has been closed', () => {
    const { clock, breaker } = setUpReadyToProbe();
    acquire(breaker).failure();
    clock.advance(20_000);
    acquire(breaker).success();
    fail(breaker, 5);
    assert.equal(breaker.retryAfterMs(), 10_000);
  });

  it('varies each period by a tenth, the longest one too', () => {
    for (const [chance, share] of [
      [0, 0.9],
      [1 - Number.EPSILON, 1.1],
    ] as const) {
      const { breaker } = setUp({ openFor: 60_000 }, () => chance);
      fail(breaker, 5);
      assert.equal(Math.round(breaker.retryAfterMs() ?? 0), 60_000 * share);
    }
  });
});

describe('a half-open breaker', () => {
  it('closes when its probe succeeds', () => {
    const { breaker, transitions } = setUpReadyToProbe();
    acquire(breaker).success();
    assert.equal(breaker.state(), 'closed');
    assert.deepEqual(transitions.slice(1), [
      'half_open: the open period is over',
      'closed: a probe succeeded',
    ]);
  });

  it('opens again when its probe fails', () => {
    const { breaker, transitions } = setUpReadyToProbe();
    acquire(breaker).failure();
    assert.equal(breaker.state(), 'open');
    assert.equal(transitions.at(-1), 'open: a probe failed; open for 20000 ms');
  });

  it('lets as many probes run at once as it was told to', () => {
    const { breaker } = setUpReadyToProbe({ halfOpenProbes: 2 });
    acquire(breaker);
    assert.ok(breaker.available());
    acquire(breaker);
    assert.equal(breaker.available(), false);
    assert.equal(breaker.acquire(), null);
  });

  it('gives the place of a probe whose client left to the next', () => {
    const { breaker } = setUpReadyToProbe();
    const left = acquire(breaker);
    left.release();
    left.release();
    assert.equal(breaker.state(), 'half_open');
    acquire(breaker);
    assert.equal(breaker.acquire(), null);
  });

  it('closes as soon as its probe brings content, not at the end of the stream', () => {
    const { breaker } = setUpReadyToProbe();
    const probe = acquire(breaker);
    probe.alive();
    assert.equal(breaker.state(), 'closed');
    assert.ok(breaker.acquire());
  });

  it('counts a probe that brought content and then failed as one failure of the closed state', () => {
    const { breaker } = setUpReadyToProbe();
    const probe = acquire(breaker);
    probe.alive();
    fail(breaker, 4);
    assert.equal(breaker.state(), 'closed');
    probe.failure();
    assert.equal(breaker.state(), 'open');
    assert.equal(breaker.retryAfterMs(), 10_000);
  });

  it('does not hear of other probes once one has decided', () => {
    const { breaker } = setUpReadyToProbe({ halfOpenProbes: 3 });
    const [first, second, third] = [acquire(breaker), acquire(breaker), acquire(breaker)];
    first.success();
    second.failure();
    third.alive();
    third.failure();
    fail(breaker, 4);
    assert.equal(breaker.state(), 'closed');
  });

  it('starts with an empty window when it closes', () => {
    const { breaker } = setUpReadyToProbe();
    acquire(breaker).success();
    fail(breaker, 4);
    assert.equal(breaker.state(), 'closed');
  });
});

describe('a breaker', () => {
  it('costs a dead upstream a handful of tries for twenty requests in a sixty-second outage', () => {
    const { clock, breaker } = setUp();
    let tries = 0;
    for (let request = 0; request < 20; request++) {
      const permit = breaker.acquire();
      if (permit !== null) {
        tries += 1;
        permit.failure();
      }
      clock.advance(3000);
    }
    assert.equal(tries, 7);
    clock.advance(breaker.retryAfterMs() ?? 0);
    succeed(breaker, 1);
    assert.equal(breaker.state(), 'closed');
  });

  it('refuses settings that make no sense, naming the value', () => {
    const nonsense: [Partial<BreakerSettings>, RegExp][] = [
      [{ window: 0 }, /window.* 0$/],
      [{ openFor: Number.NaN }, /openFor.*NaN/],
      [{ maxOpenFor: Number.POSITIVE_INFINITY }, /maxOpenFor.*Infinity/],
      [{ maxOpenFor: 5000 }, /maxOpenFor \(5000\)/],
      [{ minRequests: 0 }, /minRequests.* 0$/],
      [{ consecutiveFailures: 2.5 }, /consecutiveFailures.*2\.5/],
      [{ halfOpenProbes: -1 }, /halfOpenProbes.*-1/],
      [{ failureRate: 50 }, /failureRate.*50/],
    ];
    for (const [changes, message] of nonsense) {
      assert.throws(
        () => setUp(changes),
        (error) => error instanceof RangeError && message.test(error.message),
      );
    }
  });
});
