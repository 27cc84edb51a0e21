/** A pending call. `cancel` is safe to call at any time, any number of times. */
export interface Timer {
  cancel(): void;
}

/** Time, injected wherever it is needed so that tests of waits take none. All durations are milliseconds. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start, with a fraction: for durations and deadlines. */
  now(): number;
  /** Milliseconds since the Unix epoch: for timestamps and dates that others sent. */
  wall(): number;
  /** Calls `fn` once, `ms` from now and never sooner by `now()`, unless cancelled. Waits of over 2^31-1 ms are cut to that. */
  schedule(ms: number, fn: () => void): Timer;
}

/** `setTimeout` fires at once for anything longer. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

class SystemTimer implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(ms: number, fn: () => void) {
    // Node counts in whole milliseconds, rounded down at both ends: without the one more, a timer goes off up to two too soon,
    // and the cooldown that was waited for is not quite over.
    this.#handle = setTimeout(fn, Math.min(Math.ceil(ms) + 1, LONGEST_TIMEOUT));
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  schedule: (ms, fn) => new SystemTimer(ms, fn),
};

/** A number in [0, 1): chance, injected like time. */
export type Chance = () => number;
