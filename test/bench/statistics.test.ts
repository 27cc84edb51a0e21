import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { chanceOfOrder, leastChance, median, perRound, quantile } from '../../bench/statistics.ts';

describe('quantile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  it('is a value of the sample, whatever its order', () => {
    assert.equal(quantile(hundred, 0.5), 51);
    assert.equal(quantile(hundred, 0.99), 100);
    assert.equal(quantile([7], 0.999), 7);
  });

  it('is no number where there is no sample', () => {
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });
});

describe('median', () => {
  it('lies between the two in the middle, and passes over rounds that found nothing', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([5, Number.NaN, 1]), 3);
    assert.ok(Number.isNaN(median([])));
  });
});

describe('perRound', () => {
  it('compares each round with the same one of the yardstick', () => {
    const ratios = perRound([2, 6, 8], [1, 2], (a, b) => a / b);
    assert.deepEqual(ratios.slice(0, 2), [2, 3]);
    assert.ok(Number.isNaN(ratios[2]));
  });
});

describe('the rank test', () => {
  it('gives the chances that tables of it give', () => {
    // Three above three: 2 of the 20 orders are as extreme.
    assert.equal(chanceOfOrder([4, 5, 6], [1, 2, 3]), 0.1);
    assert.equal(leastChance(3, 3), 0.1);
    assert.equal(leastChance(5, 5), 2 / 252);
    // U = 4 of 49 is the last that is below one in a hundred for seven and seven.
    const seven = [10, 20, 30, 40, 50, 60, 70];
    const above = (lost: number) => [...new Array(6).fill(80), 69 - lost * 10 + 6];
    assert.ok(chanceOfOrder(above(3), seven) < 0.01);
    assert.ok(chanceOfOrder(above(5), seven) > 0.01);
  });

  it('finds nothing between samples that lie within each other', () => {
    assert.equal(chanceOfOrder([1, 4, 5, 8], [2, 3, 6, 7]), 1);
    assert.equal(chanceOfOrder([5, 5, 5], [5, 5, 5]), 1);
    assert.equal(chanceOfOrder([], [1, 2]), 1);
  });

  it('agrees with counting all orders, in both directions', () => {
    const sizes = fc.integer({ min: 1, max: 4 });
    fc.assert(
      fc.property(sizes, sizes, fc.integer({ min: 0, max: 1e6 }), (n, m, seed) => {
        const splits = splitsOf(n, m);
        const winsOf = ([one, other]: Split) =>
          one.reduce((sum, a) => sum + other.filter((b) => a > b).length, 0);
        const [one, other] = splits[seed % splits.length] as Split;
        const extreme = Math.min(winsOf([one, other]), winsOf([other, one]));
        const asFar = splits.filter((split) => winsOf(split) <= extreme).length;
        const expected = Math.min(1, (2 * asFar) / splits.length);
        assert.ok(Math.abs(chanceOfOrder(one, other) - expected) < 1e-12);
        assert.equal(chanceOfOrder(one, other), chanceOfOrder(other, one));
      }),
    );
  });
});

type Split = readonly [number[], number[]];

/** All ways to deal 1 to n + m to two samples. */
function splitsOf(n: number, m: number): Split[] {
  const ranks = Array.from({ length: n + m }, (_, index) => index + 1);
  const found: Split[] = [];
  for (let mask = 0; mask < 1 << (n + m); mask++) {
    const one = ranks.filter((_, index) => (mask >> index) & 1);
    if (one.length === n) found.push([one, ranks.filter((rank) => !one.includes(rank))]);
  }
  return found;
}
