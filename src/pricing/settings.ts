import type { WeekSpan } from './calendar.ts';
import type { Fraction } from './fraction.ts';

/** What is known of prices, as a file says it. */
export interface PriceTable {
  /** How hosts write names: `{}` stands for a name without wildcards, `*` for any text, `#` for a digit. */
  spellings: readonly string[];
  entries: readonly PriceEntry[];
}

/** The price of some names. */
export interface PriceEntry {
  /** As upstreams are asked for them; `*` stands for any text, `#` for a digit. */
  names: readonly string[];
  /** Ids of the providers that it holds for; null = all. */
  providers: readonly string[] | null;
  /** In order of time, and apart. */
  periods: readonly PricePeriod[];
}

export interface PricePeriod {
  /** The first moment that it holds, and the first that it does not. Milliseconds since 1970. */
  from: number;
  until: number;
  /** Outside of `bands`. */
  prices: LengthPrices;
  /** Where the clock and the calendar of `bands` are read. */
  zone: string;
  /** Times of the week with prices of their own; they do not overlap. */
  bands: readonly PriceBand[];
}

export interface PriceBand {
  spans: readonly WeekSpan[];
  prices: LengthPrices;
}

/** By the length of the prompt, in tokens, cached ones included; the whole request is paid at one rate. */
export interface LengthPrices {
  base: TokenPrices;
  /** In order of length. */
  tiers: readonly { above: number; prices: TokenPrices }[];
  /** Nothing is known of longer prompts; Infinity = there is no such bound. */
  upTo: number;
}

/** Nanodollars for one token. */
export interface TokenPrices {
  in: Fraction;
  cacheRead: Fraction;
  cacheWrite: Fraction;
  /** Written to be kept for an hour. */
  cacheWriteHour: Fraction;
  out: Fraction;
}
