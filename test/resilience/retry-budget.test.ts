import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RetryBudget } from '../../src/resilience/retry-budget.ts';
import { ManualClock } from '../support/manual-clock.ts';

const usual = { ratio: 0.2, minPerSecond: 5 };

function setUp(settings = usual, start = 0) {
  const clock = new ManualClock(start);
  return { clock, budget: new RetryBudget(settings, clock) };
}

/** How many of `wanted` retries are allowed right now. */
function allowed(budget: RetryBudget, wanted: number): number {
  let count = 0;
  for (let i = 0; i < wanted; i++) if (budget.tryRetry()) count += 1;
  return count;
}

function requests(budget: RetryBudget, count: number): void {
  for (let i = 0; i < count; i++) budget.request();
}

describe('RetryBudget', () => {
  it('lets a single request on an idle upstream retry twice at once', () => {
    const { clock, budget } = setUp();
    clock.advance(3_600_000);
    budget.request();
    assert.equal(allowed(budget, 2), 2);
  });

  it('allows the minimum in every second, whatever went before', () => {
    const { clock, budget } = setUp();
    for (let second = 0; second < 30; second++) {
      assert.equal(allowed(budget, 50), 5);
      clock.advance(1000);
    }
  });

  it('allows the share of the requests, with the minimum in it and not on top', () => {
    const { budget } = setUp();
    requests(budget, 1000);
    assert.equal(allowed(budget, 1000), 200);
  });

  it('forgets requests after ten seconds', () => {
    const { clock, budget } = setUp();
    requests(budget, 1000);
    clock.advance(9999);
    assert.equal(allowed(budget, 100), 100);
    clock.advance(1);
    assert.equal(allowed(budget, 100), 5);
  });

  it('does not lend the same requests twice', () => {
    const { clock, budget } = setUp({ ratio: 0.2, minPerSecond: 0 });
    requests(budget, 100);
    clock.advance(9000);
    assert.equal(allowed(budget, 100), 20);
    for (let second = 0; second < 20; second++) {
      clock.advance(1000);
      assert.equal(allowed(budget, 100), 0);
    }
  });

  it('allows none when both settings are 0', () => {
    const { budget } = setUp({ ratio: 0, minPerSecond: 0 });
    requests(budget, 1000);
    assert.equal(allowed(budget, 10), 0);
  });

  it('refuses settings that make no sense, naming the value', () => {
    const clock = new ManualClock();
    assert.throws(() => new RetryBudget({ ratio: -0.1, minPerSecond: 5 }, clock), /RangeError.*ratio.*-0\.1/);
    assert.throws(
      () => new RetryBudget({ ratio: 0.2, minPerSecond: Number.NaN }, clock),
      /minPerSecond.*NaN/,
    );
  });

  it('keeps the tries below 1.3 times the requests, in any outage at 50 requests a second or more', () => {
    const phase = fc.record({
      seconds: fc.integer({ min: 1, max: 25 }),
      perSecond: fc.oneof(fc.constant(50), fc.integer({ min: 50, max: 400 })),
      /** Retries that each request would like; 0 = the upstream is well. */
      wanted: fc.constantFrom(0, 1, 3, 10),
      retryAfter: fc.constantFrom(0, 100, 700, 2500, 9000),
    });
    fc.assert(
      fc.property(fc.nat(2000), fc.array(phase, { minLength: 1, maxLength: 6 }), (start, phases) => {
        const { clock, budget } = setUp(usual, start);
        let reached = 0;
        let tries = 0;
        const retry = (left: number, wait: number) => {
          if (left === 0 || !budget.tryRetry()) return;
          tries += 1;
          clock.schedule(wait, () => retry(left - 1, wait));
        };
        for (const { seconds, perSecond, wanted, retryAfter } of phases) {
          for (let second = 0; second < seconds; second++) {
            for (let i = 0; i < perSecond; i++) {
              reached += 1;
              tries += 1;
              budget.request();
              if (wanted > 0) clock.schedule(retryAfter, () => retry(wanted, retryAfter));
              clock.advance(1000 / perSecond);
            }
            assert.ok(tries < 1.3 * reached, `${tries} tries for ${reached} requests`);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it('decides as a list of everything that happened would', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom<'request' | 'retry'>('request', 'retry') },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 4000 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 40_000 }) },
    );
    const settings = fc.record({
      ratio: fc.constantFrom(0, 0.2, 0.5, 1),
      minPerSecond: fc.constantFrom(0, 1, 3),
    });
    fc.assert(
      fc.property(settings, fc.nat(5000), fc.array(step, { maxLength: 200 }), (wanted, start, steps) => {
        const { clock, budget } = setUp(wanted, start);
        const past: { second: number; what: 'request' | 'retry' }[] = [];
        for (const what of steps) {
          if (typeof what === 'number') {
            clock.advance(what);
            continue;
          }
          const second = Math.floor(clock.now() / 1000);
          if (what === 'request') {
            budget.request();
            past.push({ second, what });
            continue;
          }
          const recent = past.filter((one) => one.second > second - 10);
          const retries = recent.filter((one) => one.what === 'retry');
          const now = retries.filter((one) => one.second === second).length;
          const share = wanted.ratio * (recent.length - retries.length);
          const expected = now + 1 <= wanted.minPerSecond || retries.length + 1 <= share;
          assert.equal(budget.tryRetry(), expected);
          if (expected) past.push({ second, what });
        }
      }),
    );
  });
});
