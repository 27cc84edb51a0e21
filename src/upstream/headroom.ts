import type { Clock } from '../core/clock.ts';
import { readRateLimits } from '../providers/rate-limit-headers.ts';
import type { WireHeaders } from '../providers/retry-after.ts';

/** Where a provider does not say when all is left again: its limits are mostly by the minute. Milliseconds. */
const USUAL_PERIOD = 60_000;

/** One limit as it was last said to be, on the clock's monotonic time. */
interface Said {
  limit: number;
  remaining: number;
  at: number;
  fullAt: number;
}

/** How much of its provider's rate limits an upstream has left, by what the headers of its answers say. */
export class Headroom {
  readonly #clock: Clock;
  /** By what they count: at most the handful of kinds that can be read. */
  readonly #limits = new Map<string, Said>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes note of an answer's headers, whatever its status. */
  read(headers: WireHeaders): void {
    const limits = readRateLimits(headers, this.#clock.wall());
    if (limits === null) return;
    const now = this.#clock.now();
    for (const { of, limit, remaining, resetMs } of limits) {
      // Of a limit that is not named, the most that was ever left is known.
      const most = limit ?? Math.max(remaining, this.#limits.get(of)?.limit ?? 0);
      if (most <= 0) continue;
      this.#limits.set(of, { limit: most, remaining, at: now, fullAt: now + (resetMs ?? USUAL_PERIOD) });
    }
  }

  /** The share (0 to 1) that is left of the limit of which least is left; each fills up steadily until it is full. Null: nothing was ever said. */
  left(): number | null {
    if (this.#limits.size === 0) return null;
    const now = this.#clock.now();
    let least = 1;
    for (const said of this.#limits.values()) least = Math.min(least, shareLeft(said, now));
    return least;
  }
}

function shareLeft({ limit, remaining, at, fullAt }: Said, now: number): number {
  if (now >= fullAt) return 1;
  const refilled = ((limit - remaining) * (now - at)) / (fullAt - at);
  return (remaining + refilled) / limit;
}
