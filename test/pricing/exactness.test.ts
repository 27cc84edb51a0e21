/** Costs against rational arithmetic: never a nanodollar off, whatever the prices, the currency and the numbers of tokens. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Usage } from '../../src/core/usage.ts';
import { NOW, priceOf, usage } from './helpers.ts';

/** A decimal as somebody would write it, and how many of the last digit's units it has. */
const price = fc
  .record({ digits: fc.nat({ max: 999_999 }), places: fc.integer({ min: 0, max: 6 }) })
  .map(({ digits, places }) => ({ text: written(digits, places), units: BigInt(digits), places }));

type Price = typeof price extends fc.Arbitrary<infer T> ? T : never;

function written(digits: number, places: number): string {
  const text = String(digits).padStart(places + 1, '0');
  return places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`;
}

const prices = fc.record({
  in: price,
  cache_read: fc.option(price, { nil: undefined }),
  cache_write: fc.option(price, { nil: undefined }),
  cache_write_1h: fc.option(price, { nil: undefined }),
  out: price,
});

/** US dollars for one of the currency: `above / below`. */
const rate = fc.record({
  above: fc.integer({ min: 1, max: 10_000 }),
  below: fc.integer({ min: 1, max: 999 }),
});

function usages(most: number): fc.Arbitrary<Usage> {
  const tokens = fc.nat({ max: most });
  return fc
    .record({ fresh: tokens, cached: tokens, five: tokens, hour: tokens, output: tokens })
    .map(({ fresh, cached, five, hour, output }) =>
      usage({
        input: fresh + cached + five + hour,
        cached,
        cacheWrite: five + hour,
        cacheWriteHour: hour,
        output,
      }),
    );
}

/** Nanodollars, halves up, from BigInts alone. */
function exactly(
  amounts: readonly [tokens: number, price: Price][],
  { above, below }: { above: number; below: number },
): bigint {
  // All prices over the same 10^6, for a million tokens: so many nanodollars are a thousandth of that.
  const sum = amounts.reduce(
    (total, [tokens, { units, places }]) => total + BigInt(tokens) * units * 10n ** BigInt(6 - places),
    0n,
  );
  const numerator = sum * BigInt(above) * 1000n;
  const denominator = 10n ** 6n * BigInt(below);
  return (2n * numerator + denominator) / (2n * denominator);
}

function capped(cost: bigint): bigint {
  const largest = BigInt(Number.MAX_SAFE_INTEGER);
  return cost < largest ? cost : largest;
}

function fileOf(parts: Record<string, Price | undefined>): string {
  return Object.entries(parts)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${value?.text}`)
    .join('\n');
}

describe('a cost', () => {
  for (const [name, most, runs] of [
    ['of everyday answers', 2_000_000, 1000],
    ['of more than plain numbers can add', 2 ** 36, 500],
    ['of as much as a number holds', 2 ** 51 - 1, 500],
  ] as const) {
    it(`is the exact sum, rounded once: ${name}`, () => {
      fc.assert(
        fc.property(prices, rate, usages(most), (parts, money, tokens) => {
          const read = parts.cache_read ?? parts.in;
          const write = parts.cache_write ?? parts.in;
          const hour = parts.cache_write_1h ?? write;
          const { input, cached, cacheWrite, cacheWriteHour = 0, output } = tokens;
          const wanted = exactly(
            [
              [input - cached - cacheWrite, parts.in],
              [cached, read],
              [cacheWrite - cacheWriteHour, write],
              [cacheWriteHour, hour],
              [output, parts.out],
            ],
            money,
          );
          const model = priceOf(
            `currency: XXX\n${fileOf(parts)}`,
            `currencies: { XXX: ${money.above}/${money.below} }`,
          );
          const cost = model.cost(tokens, NOW);
          assert.equal(BigInt(cost ?? -1), capped(wanted));
        }),
        { numRuns: runs },
      );
    });
  }

  it('is never more than the most that its tokens may come to, unless something is kept for an hour', () => {
    fc.assert(
      fc.property(prices, usages(3_000_000), fc.nat(), (parts, tokens, at) => {
        const model = priceOf(fileOf(parts));
        const { cacheWriteHour: _, ...five } = tokens;
        const most = model.most(tokens.input, tokens.output, at) ?? -1;
        assert.ok((model.cost(five, at) ?? 0) <= most);
      }),
    );
  });

  it('may be at most what everything would cost at the dearest of what a prompt may be paid at', () => {
    fc.assert(
      fc.property(prices, fc.nat(9_000_000), fc.nat(9_000_000), (parts, input, output) => {
        const read = parts.cache_read ?? parts.in;
        const write = parts.cache_write ?? parts.in;
        const all = [parts.in, read, write].map((one) =>
          exactly(
            [
              [input, one],
              [output, parts.out],
            ],
            { above: 1, below: 1 },
          ),
        );
        const dearest = all.reduce((a, b) => (a > b ? a : b));
        assert.equal(BigInt(priceOf(fileOf(parts)).most(input, output, NOW) ?? -1), capped(dearest));
      }),
    );
  });

  it('is rounded half up', () => {
    // Half a nanodollar a token.
    const half = priceOf('in: 0.0005\nout: 0.00049');
    assert.equal(half.cost(usage({ input: 1 }), NOW), 1);
    assert.equal(half.cost(usage({ input: 3 }), NOW), 2);
    assert.equal(half.cost(usage({ output: 1 }), NOW), 0);
    assert.equal(half.cost(usage({ input: 2, output: 1 }), NOW), 1);
  });

  it('adds up over a billion tokens where binary fractions do not', () => {
    assert.equal(
      priceOf('in: 0.1\nout: 0.7').cost(usage({ input: 999_999_999, output: 1 }), NOW),
      99_999_999_900 + 700,
    );
  });

  it('of more than nine million dollars is as much as a number holds, and still a whole one', () => {
    const dear = priceOf('in: 1000000\nout: 1000000');
    for (const input of [Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY, 1e300]) {
      assert.equal(dear.cost(usage({ input, output: input }), NOW), Number.MAX_SAFE_INTEGER);
      assert.equal(dear.most(input, input, NOW), Number.MAX_SAFE_INTEGER);
    }
  });
});
