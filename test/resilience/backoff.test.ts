import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { backoffDelay } from '../../src/resilience/backoff.ts';
import type { BackoffSettings } from '../../src/resilience/settings.ts';

const plain: BackoffSettings = { kind: 'exponential', base: 100, factor: 2, max: 1000, jitter: 'none' };
const lowest = () => 0;
const highest = () => 1 - Number.EPSILON;

/** The delays before the first five retries. */
function fiveDelays(settings: BackoffSettings, chance = lowest): number[] {
  const delays: number[] = [];
  for (let retry = 1; retry <= 5; retry++) {
    delays.push(Math.round(backoffDelay(settings, retry, delays.at(-1) ?? null, chance)));
  }
  return delays;
}

const settings: fc.Arbitrary<BackoffSettings> = fc.record({
  kind: fc.constantFrom('exponential', 'linear', 'constant'),
  base: fc.oneof(fc.constant(0), fc.double({ min: 0.001, max: 1e6, noNaN: true })),
  factor: fc.double({ min: 1, max: 100, noNaN: true }),
  max: fc.oneof(fc.constant(0), fc.double({ min: 0.001, max: 1e7, noNaN: true })),
  jitter: fc.constantFrom('full', 'equal', 'decorrelated', 'none'),
});
const retries = fc.oneof(
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
);
const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoffDelay', () => {
  it('grows by the factor up to the maximum', () => {
    assert.deepEqual(fiveDelays(plain), [100, 200, 400, 800, 1000]);
  });

  it('grows by the base when linear, and not at all when constant', () => {
    assert.deepEqual(fiveDelays({ ...plain, kind: 'linear', max: 350 }), [100, 200, 300, 350, 350]);
    assert.deepEqual(fiveDelays({ ...plain, kind: 'constant' }), [100, 100, 100, 100, 100]);
  });

  it('draws full jitter from nothing to the whole delay, equal jitter from its upper half', () => {
    assert.deepEqual(fiveDelays({ ...plain, jitter: 'full' }, lowest), [0, 0, 0, 0, 0]);
    assert.deepEqual(fiveDelays({ ...plain, jitter: 'full' }, highest), [100, 200, 400, 800, 1000]);
    assert.deepEqual(fiveDelays({ ...plain, jitter: 'equal' }, lowest), [50, 100, 200, 400, 500]);
    assert.deepEqual(fiveDelays({ ...plain, jitter: 'equal' }, highest), [100, 200, 400, 800, 1000]);
  });

  it('draws decorrelated jitter between the base and three times the last delay', () => {
    assert.deepEqual(fiveDelays({ ...plain, jitter: 'decorrelated' }, lowest), [100, 100, 100, 100, 100]);
    assert.deepEqual(fiveDelays({ ...plain, jitter: 'decorrelated' }, highest), [300, 900, 1000, 1000, 1000]);
  });

  it('takes a bound given for one status in place of its own, higher or lower', () => {
    assert.equal(backoffDelay(plain, 5, null, lowest, 150), 150);
    assert.equal(backoffDelay(plain, 5, null, lowest, 5000), 1600);
    assert.equal(backoffDelay({ ...plain, jitter: 'decorrelated' }, 5, 400, highest, 150), 150);
  });

  it('refuses a retry that is not counted from 1', () => {
    for (const retry of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => backoffDelay(plain, retry, null, lowest), new RegExp(`RangeError.*${retry}`));
    }
  });

  it('stays between 0 and the maximum, for any settings and however many retries', () => {
    fc.assert(
      fc.property(settings, retries, fc.option(chances), chances, (backoff, retry, last, chance) => {
        const previous = last === null ? null : last * backoff.max;
        const delay = backoffDelay(backoff, retry, previous, () => chance);
        assert.ok(delay >= 0 && delay <= backoff.max, `${delay}`);
      }),
    );
  });

  it('never falls from one retry to the next without jitter', () => {
    fc.assert(
      fc.property(settings, retries, (backoff, retry) => {
        const at = (n: number) => backoffDelay({ ...backoff, jitter: 'none' }, n, null, lowest);
        assert.ok(at(retry + 1) >= at(retry));
      }),
    );
  });

  it('keeps jitter within what it is a jitter of', () => {
    fc.assert(
      fc.property(settings, retries, chances, (backoff, retry, chance) => {
        const whole = backoffDelay({ ...backoff, jitter: 'none' }, retry, null, lowest);
        const full = backoffDelay({ ...backoff, jitter: 'full' }, retry, null, () => chance);
        const equal = backoffDelay({ ...backoff, jitter: 'equal' }, retry, null, () => chance);
        assert.ok(full <= whole);
        assert.ok(equal >= whole / 2 && equal <= whole);
      }),
    );
  });
});
