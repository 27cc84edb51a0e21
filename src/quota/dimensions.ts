import { NANODOLLARS } from '../core/usage.ts';

/**
 * What quotas count. To add one: a line in `DIMENSIONS`, and its word in the documentation; configuration, stores, refusals and
 * `/v1/usage` read them from here.
 */
export type Dimension = 'requests' | 'tokens' | 'input_tokens' | 'output_tokens' | 'usd' | 'concurrent';

/** What one request takes, before (estimated) or after (as it was). */
export interface Consumption {
  /** Tokens. */
  input: number;
  output: number;
  /** Nanodollars: a billionth of a US dollar, whole; null = no price is known. */
  cost: number | null;
}

export const NOTHING: Consumption = { input: 0, output: 0, cost: 0 };

/** How a dimension is booked. */
export interface DimensionRule {
  /** The amount of one request, in the store's whole units. */
  amount(consumption: Consumption): number;
  /**
   * `count`: taken at admission and kept whatever becomes of the request. `reserve`: held from admission, then settled to what was
   * used. `hold`: held while the request lasts, and given back.
   */
  booking: 'count' | 'reserve' | 'hold';
  /** The store's units to one of those that limits are written in. */
  scale: number;
  /** The trio of `x-ratelimit-*` headers that it is told in. */
  header: 'requests' | 'tokens' | null;
  /** The `type` of a refusal that is not about a budget. */
  errorType: 'requests' | 'tokens';
  /** In messages: "requests", "US dollars". */
  words: string;
}

export const DIMENSIONS: Readonly<Record<Dimension, DimensionRule>> = {
  requests: {
    amount: () => 1,
    booking: 'count',
    scale: 1,
    header: 'requests',
    errorType: 'requests',
    words: 'requests',
  },
  tokens: {
    amount: ({ input, output }) => input + output,
    booking: 'reserve',
    scale: 1,
    header: 'tokens',
    errorType: 'tokens',
    words: 'tokens',
  },
  input_tokens: {
    amount: ({ input }) => input,
    booking: 'reserve',
    scale: 1,
    header: null,
    errorType: 'tokens',
    words: 'input tokens',
  },
  output_tokens: {
    amount: ({ output }) => output,
    booking: 'reserve',
    scale: 1,
    header: null,
    errorType: 'tokens',
    words: 'output tokens',
  },
  usd: {
    amount: ({ cost }) => cost ?? 0,
    booking: 'reserve',
    scale: NANODOLLARS,
    header: null,
    errorType: 'tokens',
    words: 'US dollars',
  },
  concurrent: {
    amount: () => 1,
    booking: 'hold',
    scale: 1,
    header: null,
    errorType: 'requests',
    words: 'requests at a time',
  },
};
