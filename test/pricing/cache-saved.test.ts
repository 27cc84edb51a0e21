import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NOW, priceOf, usage } from './helpers.ts';

/** Three dollars a million: 3000 nanodollars a token. */
const LINES = 'in: 3\ncache_read: 0.3\ncache_write: 3.75\ncache_write_1h: 6\nout: 15';

describe("what a provider's cache saved", () => {
  it('is the difference to the full price, by what was read and what was written', () => {
    const price = priceOf(LINES);
    const saved = (parts: object) => price.cacheSaved(usage({ input: 10_000, output: 77, ...parts }), NOW);
    assert.deepEqual(saved({ cached: 1000 }), { read: 2_700_000, written: 0 });
    assert.deepEqual(saved({ cacheWrite: 1000 }), { read: 0, written: 750_000 });
    assert.deepEqual(saved({ cacheWrite: 1000, cacheWriteHour: 1000 }), { read: 0, written: 3_000_000 });
    assert.deepEqual(saved({ cached: 1000, cacheWrite: 1000, cacheWriteHour: 400 }), {
      read: 2_700_000,
      written: 600 * 750 + 400 * 3000,
    });
    assert.deepEqual(saved({}), { read: 0, written: 0 });
  });

  it('is nothing where caches have no price of their own, and may be less than nothing', () => {
    const parts = usage({ input: 100, cached: 50, cacheWrite: 50 });
    assert.deepEqual(priceOf('in: 3\nout: 15').cacheSaved(parts, NOW), { read: 0, written: 0 });
    const strange = priceOf('in: 3\ncache_read: 4\ncache_write: 1\nout: 15').cacheSaved(parts, NOW);
    assert.deepEqual(strange, { read: -50_000, written: -100_000 });
  });

  it('goes by the tier of the whole prompt', () => {
    const price = priceOf(
      `${LINES}\ntiers: [{ above: 100k, in: 6, cache_read: 0.6, cache_write: 7.5, out: 30 }]`,
    );
    const of = (input: number) => price.cacheSaved(usage({ input, cached: 1000 }), NOW)?.read;
    assert.deepEqual([of(100_000), of(100_001)], [2_700_000, 5_400_000]);
  });

  it('is not known where the price is not', () => {
    const price = priceOf(`${LINES}\nuntil: 2026-11-22\nup_to: 100k`);
    assert.equal(price.cacheSaved(usage({ input: 10, cached: 5 }), NOW), null);
    const before = NOW - 24 * 3_600_000;
    assert.notEqual(price.cacheSaved(usage({ input: 10, cached: 5 }), before), null);
    assert.equal(price.cacheSaved(usage({ input: 100_001, cached: 5 }), before), null);
  });

  it('makes up the cost to that of the same prompt without a cache, to the nanodollar, whatever is reported', () => {
    const amount = fc.oneof(fc.nat({ max: 10_000_000 }), fc.constantFrom(-5, 0.5, Number.NaN, 1e12));
    const price = priceOf('in: 1.37\ncache_read: 0.111\ncache_write: 1.777\ncache_write_1h: 2.93\nout: 15');
    fc.assert(
      fc.property(
        amount,
        amount,
        amount,
        amount,
        amount,
        (input, output, cached, cacheWrite, cacheWriteHour) => {
          const reported = usage({ input, output, cached, cacheWrite, cacheWriteHour });
          const saved = price.cacheSaved(reported, NOW);
          const cost = price.cost(reported, NOW) ?? Number.NaN;
          assert.ok(saved);
          assert.equal(cost + saved.read - saved.written, price.cost(usage({ input, output }), NOW));
          assert.ok(saved.read >= 0 && saved.written >= 0);
        },
      ),
    );
  });
});
