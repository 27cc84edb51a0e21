import { DIMENSIONS } from './dimensions.ts';
import type { Limit } from './limits.ts';
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

/** How it stands some milliseconds later, as far as time alone tells: when all was to be back, all is. */
export function aged(standing: Standing, ms: number): Standing {
  const { used, reserved, resetsIn } = standing;
  if (used + reserved <= 0) return { ...standing, resetsIn: 0 };
  if (resetsIn === null || ms <= 0) return standing;
  if (resetsIn > ms) return { ...standing, resetsIn: resetsIn - ms };
  return { ...standing, used: 0, reserved: 0, resetsIn: 0 };
}

/** `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, as OpenAI's SDKs know them: each trio from the quota of its kind with the least left. */
export function rateLimitHeaders(counted: readonly Counted[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const kind of ['requests', 'tokens'] as const) {
    let least: Counted | null = null;
    for (const one of counted) {
      if (DIMENSIONS[one.limit.of].header !== kind) continue;
      if (least === null || remaining(one) < remaining(least)) least = one;
    }
    if (least === null) continue;
    headers[`x-ratelimit-limit-${kind}`] = String(least.limit.max);
    headers[`x-ratelimit-remaining-${kind}`] = String(remaining(least));
    headers[`x-ratelimit-reset-${kind}`] = formatReset(least.standing.resetsIn ?? 0);
  }
  return headers;
}

/** OpenAI's way to write a duration: `12ms`, `1s`, `6m0s`, `1h2m3s`. Rounded up. */
export function formatReset(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return whole <= 0 ? '0s' : `${whole}ms`;
  const seconds = Math.ceil(whole / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}
