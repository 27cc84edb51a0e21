/** Tokens of one answer. `cached` and `cacheWrite` are part of `input` and do not overlap, `reasoning` is part of `output`. */
export interface Usage {
  input: number;
  output: number;
  /** Of the prompt: read from the upstream's cache. */
  cached: number;
  /** Of the prompt: written to the upstream's cache. */
  cacheWrite: number;
  /** Of `cacheWrite`: to be kept for an hour in place of five minutes, where the upstream says so. */
  cacheWriteHour?: number;
  reasoning: number;
}

/** What one answer took. */
export interface Spent {
  usage: Usage;
  /** The upstream did not say: counted by what passed. */
  estimated: boolean;
  /** Nanodollars; null = no price is known. */
  cost: number | null;
  /** Left out where the upstream's cache was neither read nor written, or no price is known. */
  cacheSaved?: CacheSaved;
  /** Where several targets wrote the answer, one after the other: what each of them is charged for. Together they are the rest of this. */
  parts?: readonly PartSpent[];
}

/** What one of several targets wrote of an answer. */
export interface PartSpent {
  /** `provider/model`. */
  target: string;
  /** The prompt with the first alone; of the output what went to the client. */
  usage: Usage;
  /** Nanodollars; null = no price is known. */
  cost: number | null;
}

/**
 * What an upstream's cache did to the cost of an answer, against all of the prompt at the full price. Nanodollars, whole; together they are the
 * difference. Either may be below 0, where a price is so.
 */
export interface CacheSaved {
  /** That much less, for what was read from it. */
  read: number;
  /** That much more, for what was written to it. */
  written: number;
}

/** Nanodollars (a billionth of a US dollar) to a dollar. Sums stay whole, and exact up to nine million dollars. */
export const NANODOLLARS = 1e9;

/** Nanodollars as dollars, to the last digit and without an exponent: `0.0012`. */
export function dollars(nanodollars: number): string {
  return (nanodollars / NANODOLLARS).toFixed(9).replace(/\.?0+$/, '');
}
