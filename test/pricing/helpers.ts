import assert from 'node:assert/strict';
import { readPrices } from '../../src/config/compile-prices.ts';
import { formatProblem } from '../../src/config/problem.ts';
import type { Usage } from '../../src/core/usage.ts';
import { type ModelPrice, Prices } from '../../src/pricing/prices.ts';

/** The prices of a file with this text. */
export function pricesOf(text: string): Prices {
  const { table, problems } = readPrices('prices.yaml', text, new Set(['one', 'two']));
  assert.deepEqual(problems.map(formatProblem), []);
  return new Prices(table);
}

/** Of a file with one entry, for the model `m`. `lines` are the entry's other keys. */
export function priceOf(lines: string, before = ''): ModelPrice {
  const entry = lines.trim().replaceAll('\n', '\n    ');
  return found(pricesOf(`${before}\nprices:\n  - models: [m]\n    ${entry}\n`), 'm');
}

export function found(prices: Prices, model: string, provider = 'one'): ModelPrice {
  const price = prices.find(provider, model);
  assert.ok(price, `no price of ${model}`);
  return price;
}

export function usage(parts: Partial<Usage>): Usage {
  return { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0, ...parts };
}

/** Nanodollars. */
export function dollars(amount: number): number {
  return Math.round(amount * 1e9);
}

export const NOW = Date.parse('2026-11-22T09:00:00Z');
