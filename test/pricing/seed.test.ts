/** config/prices.yaml against the list prices that it was made from, reckoned by hand. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Document, isMap, isNode, isSeq, parseDocument } from 'yaml';
import { readPrices } from '../../src/config/compile-prices.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { Prices } from '../../src/pricing/prices.ts';
import { dollars, found, NOW, usage } from './helpers.ts';

const TEXT = readFileSync(join(import.meta.dirname, '../../config/prices.yaml'), 'utf8');
const { table, problems, warnings } = readPrices('config/prices.yaml', TEXT, new Set());
const prices = new Prices(table);

const MILLION = 1_000_000;

/** Dollars for a million of each; prompts no longer than any tier. */
const LIST: readonly (readonly [model: string, input: number, read: number, output: number])[] = [
  ['gpt-6.2-astra', 8, 0.4, 40],
  ['gpt-6.2-sol', 2, 0.1, 10],
  ['gpt-6.1-sol', 2, 0.1, 10],
  ['gpt-6-astra', 10, 1, 50],
  ['gpt-6-sol', 2, 0.2, 10],
  ['gpt-6-luna', 0.1, 0.01, 0.5],
  ['gpt-5.6-sol', 4, 0.4, 20],
  ['gpt-5.6-terra', 2, 0.2, 12],
  ['gpt-5.6-luna', 0.2, 0.02, 1.2],
  ['gpt-5.5', 5, 0.5, 30],
  ['gpt-5.4', 2.5, 0.25, 15],
  ['gpt-5.4-mini', 0.75, 0.075, 4.5],
  ['gpt-5', 1.25, 0.125, 10],
  ['gpt-5.1', 1.25, 0.125, 10],
  ['claude-fable-5-1', 10, 0.25, 50],
  ['claude-opus-5-5', 4, 0.2, 20],
  ['claude-opus-5', 5, 0.5, 25],
  ['claude-opus-4-5', 5, 0.5, 25],
  ['claude-opus-4-6', 5, 0.5, 25],
  ['claude-opus-4-7', 5, 0.5, 25],
  ['claude-opus-4-8', 5, 0.5, 25],
  ['claude-sonnet-5-5', 2, 0.1, 10],
  ['claude-sonnet-5', 2, 0.2, 10],
  ['claude-sonnet-4-6', 3, 0.3, 15],
  ['claude-sonnet-4-5', 3, 0.3, 15],
  ['claude-haiku-5-5', 0.1, 0.01, 0.5],
  ['claude-haiku-4-5', 1, 0.1, 5],
  ['gemini-4-argon', 2, 0.1, 10],
  ['gemini-3.8-flash', 0.75, 0.075, 3.75],
  ['gemini-3.5-flash', 1.5, 0.15, 9],
  // Where no price of cache reads was seen it is that of input.
  ['gemini-3.1-pro-preview', 2, 2, 12],
  ['gemini-2.5-pro', 1.25, 1.25, 10],
  ['grok-4.6', 2, 0.5, 6],
  ['grok-4.5', 2, 0.5, 6],
  ['grok-4.3', 1.25, 1.25, 2.5],
];

describe('the prices that are shipped', () => {
  it('are in order, and none has an unknown provider', () => {
    assert.deepEqual([...problems, ...warnings].map(formatProblem), []);
  });

  for (const [model, input, read, output] of LIST) {
    it(`have ${model} at ${input}, ${read} cached, and ${output}`, () => {
      const price = found(prices, model);
      // 10,000 tokens are below every tier: a hundredth of the price of a million.
      assert.equal(price.cost(usage({ input: 10_000 }), NOW), dollars(input / 100));
      assert.equal(price.cost(usage({ input: 10_000, cached: 10_000 }), NOW), dollars(read / 100));
      assert.equal(price.cost(usage({ output: MILLION }), NOW), dollars(output));
    });
  }

  for (const [model, five, hour] of [
    ['gpt-6-sol', 2.5, 2.5],
    ['gpt-6-luna', 0.125, 0.125],
    ['claude-fable-5-1', 12.5, 20],
    ['claude-opus-5-5', 5, 8],
    ['claude-opus-5', 6.25, 10],
    ['claude-opus-4-6', 6.25, 10],
    ['claude-sonnet-5-5', 2.5, 4],
    ['claude-haiku-5-5', 0.125, 0.2],
  ] as const) {
    it(`have writes to the cache of ${model} at ${five}, ${hour} for an hour`, () => {
      const price = found(prices, model);
      const written = usage({ input: 10_000, cacheWrite: 10_000 });
      assert.equal(price.cost(written, NOW), dollars(five / 100));
      assert.equal(price.cost({ ...written, cacheWriteHour: 10_000 }, NOW), dollars(hour / 100));
    });
  }

  it('take twice for input and half as much again for output where GPT-6 is asked more than 272K', () => {
    const sol = found(prices, 'gpt-6-sol');
    assert.equal(sol.cost(usage({ input: 272_000, output: 1000 }), NOW), dollars(0.544 + 0.01));
    assert.equal(sol.cost(usage({ input: 272_001, output: 1000 }), NOW), dollars(1.088004 + 0.015));
    const cached = usage({ input: 272_001, cached: 272_000, output: 1000 });
    assert.equal(sol.cost(cached, NOW), dollars(0.000004 + 0.1088 + 0.015));
    assert.equal(sol.cost(usage({ input: 272_001, cacheWrite: 272_001 }), NOW), dollars(1.360005));
    const terra = found(prices, 'gpt-5.6-terra');
    assert.equal(
      terra.cost(usage({ input: 300_000, cached: 100_000, output: 1000 }), NOW),
      dollars(0.8 + 0.04 + 0.018),
    );
  });

  it('take five times as much where Haiku 5.5 is asked more than 100K, cached or not', () => {
    const haiku = found(prices, 'claude-haiku-5-5');
    assert.equal(haiku.cost(usage({ input: 100_000, output: 1000 }), NOW), dollars(0.01 + 0.0005));
    assert.equal(haiku.cost(usage({ input: 100_001, output: 1000 }), NOW), dollars(0.0500005 + 0.0025));
    assert.equal(haiku.cost(usage({ input: 100_001, cached: 100_000 }), NOW), dollars(0.0000005 + 0.005));
    assert.equal(
      haiku.cost(usage({ input: 100_001, cached: 1, cacheWrite: 100_000 }), NOW),
      dollars(0.00000005 + 0.0625),
    );
  });

  it('take more for long prompts of Gemini 2.5 and Grok, and know nothing of those of Gemini 3.1', () => {
    const cost = (model: string, input: number) =>
      found(prices, model).cost(usage({ input, output: 1000 }), NOW);
    assert.equal(cost('gemini-2.5-pro', 200_000), dollars(0.25 + 0.01));
    assert.equal(cost('gemini-2.5-pro', 200_001), dollars(0.5000025 + 0.015));
    assert.equal(cost('grok-4.6', 204_800), dollars(0.4096 + 0.006));
    assert.equal(cost('grok-4.6', 204_801), dollars(0.819204 + 0.012));
    assert.equal(cost('gemini-3.1-pro-preview', 200_000), dollars(0.4 + 0.012));
    assert.equal(cost('gemini-3.1-pro-preview', 200_001), null);
  });

  it('change with the day', () => {
    const cost = (model: string, at: string) =>
      found(prices, model).cost(
        usage({ input: MILLION, cached: MILLION / 2, output: MILLION }),
        Date.parse(at),
      );
    assert.equal(cost('gemini-4-argon', '2026-11-30T23:59:59.999Z'), dollars(1 + 0.05 + 10));
    assert.equal(cost('gemini-4-argon', '2026-12-01T00:00:00Z'), dollars(2 + 0.1 + 20));
    assert.equal(cost('gemini-3.8-flash', '2026-12-31T23:59:59.999Z'), dollars(0.375 + 0.0375 + 3.75));
    assert.equal(cost('gemini-3.8-flash', '2027-01-01T00:00:00Z'), dollars(0.75 + 0.075 + 7.5));
    assert.equal(cost('claude-sonnet-5-5', '2026-10-07T00:00:00Z'), dollars(1 + 0.05 + 10));
  });

  it('double between 9 and 12 and between 14 and 18 in Beijing, from Monday to Friday', () => {
    const flash = found(prices, 'deepseek-flash');
    const pro = found(prices, 'deepseek-v4-pro');
    const tokens = usage({ input: 2 * MILLION, cached: MILLION, output: MILLION });
    // 9 yuan are 1.32 dollars.
    const [flashLow, flashPeak] = [(1 + 0.02 + 4) * (1.32 / 9), (2 + 0.04 + 8) * (1.32 / 9)].map(dollars);
    const [proLow, proPeak] = [0.66 + 0.022 + 1.98, 1.32 + 0.044 + 3.96].map(dollars);
    for (const [beijing, isPeak] of [
      ['2026-11-23T08:59:59.999', false],
      ['2026-11-23T09:00:00', true],
      ['2026-11-23T11:59:59.999', true],
      ['2026-11-23T12:00:00', false],
      ['2026-11-23T13:59:59.999', false],
      ['2026-11-23T14:00:00', true],
      ['2026-11-27T17:59:59.999', true],
      ['2026-11-27T18:00:00', false],
      ['2026-11-28T10:00:00', false],
      ['2026-11-29T15:00:00', false],
    ] as const) {
      const at = Date.parse(`${beijing}+08:00`);
      assert.equal(flash.cost(tokens, at), isPeak ? flashPeak : flashLow, beijing);
      assert.equal(pro.cost(tokens, at), isPeak ? proPeak : proLow, beijing);
    }
    assert.equal(found(prices, 'deepseek-v4-flash'), flash);
  });

  it('are found as hosts spell the names', () => {
    for (const [spelt, name] of [
      ['gpt-6-sol-2026-09-01', 'gpt-6-sol'],
      ['gpt-6.1-sol-2026-09-29', 'gpt-6.1-sol'],
      ['openai/gpt-6-sol', 'gpt-6-sol'],
      ['openai/gpt-6-sol-2026-09-01', 'gpt-6-sol'],
      ['us.anthropic.claude-opus-5-5-v1:0', 'claude-opus-5-5'],
      ['anthropic.claude-opus-5-20260724-v1:0', 'claude-opus-5'],
      ['global.anthropic.claude-sonnet-4-6', 'claude-sonnet-4-6'],
      ['claude-haiku-4-5-20251001', 'claude-haiku-4-5'],
      ['claude-haiku-4-5@20251001', 'claude-haiku-4-5'],
      ['anthropic/claude-opus-5-5', 'claude-opus-5-5'],
      ['publishers/google/models/gemini-4-argon', 'gemini-4-argon'],
      ['google/gemini-3.8-flash', 'gemini-3.8-flash'],
      ['x-ai/grok-4.6', 'grok-4.6'],
    ] as const) {
      assert.equal(found(prices, spelt), found(prices, name), spelt);
    }
    for (const other of [
      'gpt-6-sol-mini',
      'gpt-6-sol-pro',
      'ft:gpt-6-sol:acme::1',
      'openai/gpt-6-sol:free',
      'gpt-6',
      'claude-opus-6',
    ]) {
      assert.equal(prices.find('one', other), null, other);
    }
  });

  it('are written as docs/prices.md says', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/prices.md'), 'utf8');
    const examples = [...page.matchAll(/```yaml\n(prices:\n|spellings:|currencies:)([^`]*)```/g)].map(
      ([, first = '', rest = '']) => first + rest,
    );
    assert.equal(examples.length, 4);
    for (const example of examples) {
      const text = example.startsWith('prices') ? example : `${example}prices: []\n`;
      const read = readPrices('docs/prices.md', text, new Set(['local']));
      assert.deepEqual([...read.problems, ...read.warnings].map(formatProblem), [], example);
    }
  });

  it('each say where they come from', () => {
    assert.match(TEXT, /VERIFY BEFORE BILLING/);
    const document: Document = parseDocument(TEXT);
    const entries = document.get('prices');
    assert.ok(isSeq(entries));
    for (const [index, entry] of entries.items.entries()) {
      assert.ok(isNode(entry) && isMap(entry));
      // What stands before the first entry belongs to the list.
      const comment = (index === 0 ? entries.commentBefore : entry.commentBefore) ?? '';
      // The last paragraph; one before it is the heading of a maker.
      const source = comment.split(/\n\s*\n/).at(-1) ?? '';
      assert.match(
        source,
        /^(?! ---) .*(\d\.\d|\d{4}|page|index|pricing|whats-new)/,
        String(entry.get('models')),
      );
    }
  });
});
