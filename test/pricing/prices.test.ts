import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { dollars, found, NOW, priceOf, pricesOf, usage } from './helpers.ts';

const MILLION = 1_000_000;

describe('the price of a model', () => {
  it('is that of its tokens, each at its own', () => {
    const price = priceOf('in: 2\ncache_read: 0.20\ncache_write: 2.50\ncache_write_1h: 4\nout: 10');
    const cost = price.cost(
      usage({ input: 1000, cached: 300, cacheWrite: 200, cacheWriteHour: 50, output: 100, reasoning: 90 }),
      NOW,
    );
    assert.equal(cost, 500 * 2000 + 300 * 200 + 150 * 2500 + 50 * 4000 + 100 * 10_000);
  });

  it('takes what a file does not say for no cheaper than what it says', () => {
    const plain = priceOf('in: 2\nout: 10');
    assert.equal(plain.cost(usage({ input: 1000, cached: 1000 }), NOW), 1000 * 2000);
    assert.equal(plain.cost(usage({ input: 1000, cacheWrite: 1000 }), NOW), 1000 * 2000);
    const writes = priceOf('in: 2\ncache_write: 2.50\nout: 10');
    assert.equal(writes.cost(usage({ input: 10, cacheWrite: 10, cacheWriteHour: 10 }), NOW), 10 * 2500);
  });

  it('may be nothing', () => {
    assert.equal(priceOf('in: 0\nout: 0').cost(usage({ input: 5, output: 5 }), NOW), 0);
  });

  it('is never below nothing nor above its dearest token, whatever an upstream reports', () => {
    const price = priceOf('in: 2\ncache_read: 0.20\ncache_write: 2.50\ncache_write_1h: 4\nout: 10');
    const any = fc.oneof(
      fc.integer({ min: -10, max: 5000 }),
      fc.constantFrom(Number.NaN, -1, -0, 1.5, Number.NEGATIVE_INFINITY, Number.MAX_SAFE_INTEGER),
    );
    const report = fc.record({
      input: any,
      output: any,
      cached: any,
      cacheWrite: any,
      cacheWriteHour: any,
      reasoning: any,
    });
    fc.assert(
      fc.property(report, (tokens) => {
        const cost = price.cost(tokens, NOW) ?? -1;
        assert.ok(Number.isSafeInteger(cost) && cost >= 0);
        const [input, output] = [
          Math.max(0, Math.ceil(tokens.input) || 0),
          Math.max(0, Math.ceil(tokens.output) || 0),
        ];
        assert.ok(cost <= Math.min(input * 4000 + output * 10_000, Number.MAX_SAFE_INTEGER));
        assert.ok(cost >= Math.min(input * 200 + output * 10_000, Number.MAX_SAFE_INTEGER));
      }),
      { numRuns: 2000 },
    );
  });

  it('of parts that are more than their whole is that of the whole, the dearer part first', () => {
    const price = priceOf('in: 2\ncache_read: 0.20\ncache_write: 2.50\nout: 10');
    assert.equal(price.cost(usage({ input: 10, cached: 1000 }), NOW), 10 * 200);
    assert.equal(price.cost(usage({ input: 10, cached: 8, cacheWrite: 8 }), NOW), 8 * 2500 + 2 * 200);
  });

  it('is for the whole request what the length of its prompt says, cached tokens included', () => {
    const price = priceOf(
      'in: 1\ncache_read: 0.1\nout: 5\ntiers:\n  - { above: 100k, in: 2, out: 10 }\n  - { above: 200k, in: 4, cache_read: 0.5, out: 20 }',
    );
    assert.equal(price.cost(usage({ input: 100_000, output: 10 }), NOW), 100_000 * 1000 + 10 * 5000);
    assert.equal(price.cost(usage({ input: 100_001, output: 10 }), NOW), 100_001 * 2000 + 10 * 10_000);
    assert.equal(price.cost(usage({ input: 100_001, cached: 100_000 }), NOW), 100_001 * 2000);
    assert.equal(price.cost(usage({ input: 200_000 }), NOW), 200_000 * 2000);
    assert.equal(price.cost(usage({ input: 200_001, cached: 1 }), NOW), 200_000 * 4000 + 500);
    assert.equal(price.most(100_000, 10, NOW), 100_000 * 1000 + 10 * 5000);
    assert.equal(price.most(100_001, 10, NOW), 100_001 * 2000 + 10 * 10_000);
  });

  it('is unknown for prompts longer than any price is known for', () => {
    const price = priceOf('up_to: 200k\nin: 1\nout: 5');
    assert.equal(price.cost(usage({ input: 200_000 }), NOW), dollars(0.2));
    assert.equal(price.cost(usage({ input: 200_001 }), NOW), null);
    assert.equal(price.most(200_001, 0, NOW), null);
  });

  it('changes at the first moment of a date, and is unknown outside of all periods', () => {
    const price = priceOf(
      'periods:\n  - { from: 2026-12-01, until: 2027-01-01, in: 4, out: 20 }\n  - { from: 2026-11-01, until: 2026-12-01, in: 2, out: 10 }\n  - { from: 2027-02-01T00:00:00+01:00, in: 8, out: 40 }',
    );
    for (const [at, wanted] of [
      ['2026-10-31T23:59:59.999Z', null],
      ['2026-11-01T00:00:00Z', 2],
      ['2026-11-30T23:59:59.999Z', 2],
      ['2026-12-01T00:00:00Z', 4],
      ['2026-12-31T23:59:59.999Z', 4],
      ['2027-01-01T00:00:00Z', null],
      ['2027-01-31T22:59:59.999Z', null],
      ['2027-01-31T23:00:00Z', 8],
    ] as const) {
      const cost = wanted === null ? null : dollars(wanted);
      assert.equal(price.cost(usage({ input: MILLION }), Date.parse(at)), cost, at);
      assert.equal(price.most(MILLION, 0, Date.parse(at)), cost, at);
    }
  });

  it('follows the clock of its zone, by day and hour', () => {
    const price = priceOf(
      'zone: America/New_York\nin: 1\nout: 1\ntimes:\n  - { days: [fri], hours: [22-2], in: 3, out: 3 }\n  - { days: [sat, sun], hours: ["02:00-24:00"], in: 0.5, out: 0.5 }',
    );
    for (const [at, wanted] of [
      ['2026-11-28T02:59:59Z', 1],
      ['2026-11-28T03:00:00Z', 3],
      ['2026-11-28T06:59:59Z', 3],
      ['2026-11-28T07:00:00Z', 0.5],
      ['2026-11-29T04:59:59Z', 0.5],
      ['2026-11-29T05:00:00Z', 1],
      ['2026-11-30T05:00:00Z', 1],
      // An hour sooner in summer.
      ['2026-07-04T01:59:59Z', 1],
      ['2026-07-04T02:00:00Z', 3],
    ] as const) {
      assert.equal(price.cost(usage({ input: MILLION }), Date.parse(at)), dollars(wanted), at);
      assert.equal(price.most(MILLION, 0, Date.parse(at)), dollars(wanted), at);
    }
  });

  it('in hours of their own has lengths of its own', () => {
    const price = priceOf(
      'in: 1\nout: 1\ntiers: [{ above: 10, in: 2, out: 2 }]\ntimes:\n  - { hours: [0-12], up_to: 100, in: 3, out: 3, tiers: [{ above: 10, in: 4, out: 4 }] }',
    );
    const [morning, evening] = [Date.parse('2026-11-22T06:00:00Z'), Date.parse('2026-11-22T18:00:00Z')];
    const costs = (at: number) => [10, 11, 101].map((input) => price.cost(usage({ input }), at));
    assert.deepEqual(costs(morning), [30_000, 44_000, null]);
    assert.deepEqual(costs(evening), [10_000, 22_000, 202_000]);
  });

  it('is counted in other money at the rate that the file says, exactly', () => {
    const price = priceOf('currency: CNY\nin: 9\nout: 27', 'currencies: { CNY: 1.32/9 }');
    assert.equal(price.cost(usage({ input: MILLION, output: MILLION }), NOW), dollars(1.32 + 3.96));
    const decimal = priceOf('currency: EUR\nin: 1\nout: 1', 'currencies: { EUR: 1.0837 }');
    assert.equal(decimal.cost(usage({ input: MILLION }), NOW), 1_083_700_000);
  });
});

describe('prices', () => {
  const entry = (models: string, more: string) => `  - { models: ${models}, ${more} }\n`;

  it('of one provider win over those of all, however general they are', () => {
    const prices = pricesOf(
      `prices:\n${entry('[m]', 'in: 1, out: 1')}${entry('["*"]', 'providers: [one], in: 0, out: 0')}${entry('[m]', 'providers: [two], in: 2, out: 2')}`,
    );
    const cost = (provider: string, model: string) =>
      prices.find(provider, model)?.cost(usage({ input: 10 }), NOW);
    assert.equal(cost('one', 'm'), 0);
    assert.equal(cost('one', 'else'), 0);
    assert.equal(cost('two', 'm'), 20_000);
    assert.equal(cost('two', 'else'), undefined);
    assert.equal(cost('three', 'm'), 10_000);
  });

  it('are unknown for names that nobody priced, at the first question and at the next', () => {
    const prices = pricesOf(`prices:\n${entry('[m]', 'in: 1, out: 1')}`);
    for (const model of ['n', '__proto__', 'constructor', 'm'.repeat(300)]) {
      assert.equal(prices.find('one', model), null);
      assert.equal(prices.find('one', model), null);
      assert.equal(prices.find('__proto__', model), null);
    }
    assert.equal(found(prices, 'm'), found(prices, 'm'));
    assert.equal(prices.size, 1);
  });
});
