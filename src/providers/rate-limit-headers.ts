import { headerText, readReset, type WireHeaders } from './retry-after.ts';

/** What a provider says of one of its limits. */
export interface RateLimit {
  /** What it counts: `requests`, `tokens`, `input-tokens`, `output-tokens`, or `all` where it does not say. */
  of: string;
  /** Null: it says only what is left. */
  limit: number | null;
  /** 0 or more, and not above the limit. */
  remaining: number;
  /** Milliseconds until all is left again; null: it does not say, or nothing that makes sense. */
  resetMs: number | null;
}

export type RateLimits = readonly RateLimit[];

function names(of: string, prefix: string, suffix: (word: string) => string) {
  const name = (word: string) => `${prefix}${suffix(word)}`;
  return { of, limit: name('limit'), remaining: name('remaining'), reset: name('reset') };
}

const LIMITS = [
  // OpenAI, Azure, Groq, Mistral, and whoever speaks as they do.
  ...['requests', 'tokens'].map((of) => names(of, 'x-ratelimit-', (word) => `${word}-${of}`)),
  // Together, OpenRouter.
  names('all', 'x-ratelimit-', (word) => word),
  ...['requests', 'tokens', 'input-tokens', 'output-tokens'].map((of) =>
    names(of, 'anthropic-ratelimit-', (word) => `${of}-${word}`),
  ),
];

/**
 * What the headers of an answer say of the provider's limits, or null if they say nothing. A limit of 0 or below is one that is not
 * there. `wallMs` is now, for dates.
 */
export function readRateLimits(headers: WireHeaders, wallMs: number): RateLimits | null {
  let found: RateLimit[] | null = null;
  for (const { of, limit, remaining, reset } of LIMITS) {
    const left = readCount(headerText(headers, remaining));
    if (left === null) continue;
    const limitText = headerText(headers, limit);
    const most = readCount(limitText);
    if (limitText !== null && (most === null || most === 0)) continue;
    const resetText = headerText(headers, reset);
    found ??= [];
    found.push({
      of,
      limit: most,
      remaining: most === null ? left : Math.min(left, most),
      resetMs: resetText === null ? null : readReset(resetText, wallMs),
    });
  }
  return found;
}

/** A whole number or a decimal one. Azure says -1 where there is none. */
function readCount(text: string | null): number | null {
  if (text === null || !/^\s*\d{1,15}(\.\d{1,15})?\s*$/.test(text)) return null;
  return Number(text);
}
