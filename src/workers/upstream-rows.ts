import type { UpstreamStatus } from '../server/admin.ts';

/** Worst last. */
const BREAKERS = ['closed', 'half_open', 'open'] as const;

/** One row for each upstream, of what several processes say of it: sums, and where they differ the worst. */
export function mergedRows(all: readonly (readonly UpstreamStatus[])[]): UpstreamStatus[] {
  const rows = new Map<string, UpstreamStatus>();
  for (const row of all.flat()) {
    const known = rows.get(row.id);
    rows.set(row.id, known === undefined ? row : merged(known, row));
  }
  return [...rows.values()];
}

function merged(a: UpstreamStatus, b: UpstreamStatus): UpstreamStatus {
  const worse = BREAKERS.indexOf(b.breaker) > BREAKERS.indexOf(a.breaker) ? b : a;
  const better = worse === a ? b : a;
  return {
    ...a,
    breaker: worse.breaker,
    opens: a.opens + b.opens,
    cooldown_until: later(a.cooldown_until, b.cooldown_until),
    in_flight: a.in_flight + b.in_flight,
    last_error: worse.last_error ?? better.last_error,
  };
}

/** Both in the one form of RFC 3339 that sorts as text. */
function later(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a > b ? a : b;
}
