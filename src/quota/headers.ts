import type { Consumption, DimensionRule } from './dimensions.ts';
import type { Demand, Limit, LimitSet } from './limits.ts';
import type { Standing } from './store.ts';

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
interface Left {
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
  if (taken <= 0) return { remaining: Math.max(0, share - taken), resetsIn: 0 };
  if (resetsIn !== null && ms > 0) {
    if (resetsIn <= ms) return { remaining: Math.max(0, share), resetsIn: 0 };
    return { remaining: Math.max(0, share - taken), resetsIn: resetsIn - ms };
  }
  return { remaining: Math.max(0, share - taken), resetsIn: resetsIn ?? 0 };
}

/** What a request asked of its quotas, and how they stood then: each in the order of the quotas. */
export interface Asked {
  quotas: LimitSet;
  demands: readonly Demand[];
  standings: readonly Standing[];
}

/**
 * Adds `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` to headers that are a list, a name and its value in turn: each trio from the quota of
 * its kind with the least left. `ms`: since they stood so. `spent`: what the request took instead of what it asked for; null: that is not known.
 */
export function writeRateLimits(
  into: string[],
  { quotas, demands, standings }: Asked,
  ms: number,
  spent: Consumption | null,
): void {
  for (const { trio, places } of quotas.told) {
    let least: Left | null = null;
    let height = '';
    for (const place of places) {
      const { limit, amount } = demands[place] as Demand;
      const rule = quotas.rules[place] as DimensionRule;
      const standing = standings[place] as Standing;
      let taken = standing.used + standing.reserved;
      if (spent !== null && rule.booking === 'reserve') taken += rule.amount(spent) - amount;
      const left = leftAfter(limit, standing, ms, taken);
      if (least === null || left.remaining < least.remaining) {
        least = left;
        height = quotas.heights[place] as string;
      }
    }
    if (least === null) continue;
    const reset = formatReset(least.resetsIn);
    into.push(trio.limit, height, trio.remaining, `${least.remaining}`, trio.reset, reset);
  }
}

/** The same of a request that was refused, by their names. */
export function rateLimitHeaders(asked: Asked): Record<string, string> {
  const list: string[] = [];
  writeRateLimits(list, asked, 0, null);
  const headers: Record<string, string> = {};
  for (let at = 0; at < list.length; at += 2) headers[list[at] as string] = list[at + 1] as string;
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
