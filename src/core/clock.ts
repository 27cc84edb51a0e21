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

/** As a global it is got by a function each time. */
const { performance } = globalThis;

/** `setTimeout` fires at once for anything longer. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** A wait of up to this long gets a timer of Node's. Milliseconds. */
const NEAR = 2000;

/** How often the longer ones are looked through for those that have come near. Milliseconds. */
const LOOK_EVERY = NEAR / 2;

/**
 * Longer waits are bounds on what nearly always is over long before. To set a timer of Node's and to clear it costs several times what it does to be on a list,
 * so they only get one once they have come near.
 */
class FarOff {
  /** In no order. Not a Set: tables that it had before would keep alive what was in it. */
  readonly #waits: SystemTimer[] = [];
  #look: NodeJS.Timeout | null = null;

  add(wait: SystemTimer): void {
    wait.place = this.#waits.push(wait) - 1;
    if (this.#look === null) this.#lookLater();
    else if (wait.place === 0) this.#look.ref();
  }

  delete(wait: SystemTimer): void {
    const last = this.#waits.pop() as SystemTimer;
    if (last !== wait) {
      this.#waits[wait.place] = last;
      last.place = wait.place;
    }
    wait.place = NOWHERE;
    // Like a timer of Node's, what was called off keeps no process alive.
    if (this.#waits.length === 0) this.#look?.unref();
  }

  #lookLater(): void {
    this.#look = setTimeout(() => {
      const now = performance.now();
      // Backwards: in the place of one that goes comes the last.
      for (let at = this.#waits.length - 1; at >= 0; at--) this.#waits[at]?.comesNear(now);
      this.#look = null;
      if (this.#waits.length > 0) this.#lookLater();
    }, LOOK_EVERY);
  }
}

const farOff = new FarOff();
const NOWHERE = -1;

class SystemTimer implements Timer {
  /** Among those that are far off. */
  place = NOWHERE;
  readonly #at: number;
  readonly #fn: () => void;
  #handle: NodeJS.Timeout | null = null;

  constructor(ms: number, fn: () => void) {
    this.#fn = fn;
    this.#at = performance.now() + Math.min(ms, LONGEST_TIMEOUT);
    if (ms > NEAR) farOff.add(this);
    else this.#begin(ms);
  }

  /** If it is time for that. */
  comesNear(now: number): void {
    const left = this.#at - now;
    if (left > NEAR) return;
    farOff.delete(this);
    // Below 0 where the process stood still meanwhile, which Node would warn of.
    this.#begin(Math.max(0, left));
  }

  cancel(): void {
    if (this.place !== NOWHERE) farOff.delete(this);
    else if (this.#handle !== null) clearTimeout(this.#handle);
  }

  #begin(ms: number): void {
    // Node counts in whole milliseconds, rounded down at both ends: without the one more, a timer goes off up to two too soon,
    // and the cooldown that was waited for is not quite over.
    this.#handle = setTimeout(this.#fn, Math.ceil(ms) + 1);
  }
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  schedule: (ms, fn) => new SystemTimer(ms, fn),
};

/** A number in [0, 1): chance, injected like time. */
export type Chance = () => number;
