import { DIMENSIONS } from './dimensions.ts';
import type { Limit } from './limits.ts';
import type { Standing } from './store.ts';
import { TRIOS, type Trio } from './trios.ts';

/** A quota and how it stands. */
export interface Counted {
  limit: Limit;
  standing: Standing;
}

/** What can still be taken of it, in its own units. */
export function remaining({ limit, standing }: Counted): number {
  return Math.max(0, (standing.share ?? limit.max) - standing.used - standing.reserved);
}

/** Of a quota: what is left of it, and in how many milliseconds all of it is back. */
export interface Left {
  max: number;
  remaining: number;
  resetsIn: number;
}

/**
 * What is left of a quota `ms` after it stood so, as far as time alone tells: when all was to be back, all is. `taken`: where more is known of that
 * than when it stood so.
 */
export function leftAfter(
  { max }: Limit,
  standing: Standing,
  ms: number,
  taken = standing.used + standing.reserved,
): Left {
  const { resetsIn, share = max } = standing;
  if (taken <= 0) return { max, remaining: Math.max(0, share - taken), resetsIn: 0 };
  if (resetsIn !== null && ms > 0) {
    if (resetsIn <= ms) return { max, remaining: Math.max(0, share), resetsIn: 0 };
    return { max, remaining: Math.max(0, share - taken), resetsIn: resetsIn - ms };
  }
  return { max, remaining: Math.max(0, share - taken), resetsIn: resetsIn ?? 0 };
}

/** Adds them to headers that are a list: a name and its value in turn. `height`: of the quota, as a header says it. */
export function writeTrio(into: string[], trio: Trio, height: string, left: Left): void {
  const { remaining, resetsIn } = left;
  into.push(trio.limit, height, trio.remaining, `${remaining}`, trio.reset, formatReset(resetsIn));
}

/** `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of quotas as they stand: each trio from the quota of its kind with the least left. */
export function rateLimitHeaders(counted: readonly Counted[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const trio of TRIOS) {
    let least: Left | null = null;
    for (const { limit, standing } of counted) {
      if (DIMENSIONS[limit.of].header !== trio.kind) continue;
      const left = leftAfter(limit, standing, 0);
      if (least === null || left.remaining < least.remaining) least = left;
    }
    if (least === null) continue;
    headers[trio.limit] = `${least.max}`;
    headers[trio.remaining] = `${least.remaining}`;
    headers[trio.reset] = formatReset(least.resetsIn);
  }
  return headers;
}

/** OpenAI's way to write a duration: `12ms`, `1s`, `6m0s`, `1h2m3s`. Rounded up. */
export function formatReset(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return whole <= 0 ? '0s' : `${whole}ms`;
  const seconds = Math.ceil(whole / 1000);
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  const s = seconds % 60;
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}
