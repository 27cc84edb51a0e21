import type { Clock } from '../core/clock.ts';
import type { RetryBudgetSettings } from './settings.ts';

const SLOT_MS = 1000;
/** The window: long enough that a short burst of failures may be retried, short enough to notice an outage. */
const SLOTS = 10;

/**
 * Bounds what retries add to the load of one upstream, for all requests of the process together.
 *
 * The first `minPerSecond` retries of each second always pass, so that a quiet upstream can be retried at all. Any further
 * one passes only while the retries of the last ten seconds, itself and those first ones included, are at most `ratio` × the
 * requests of those ten seconds. As the minimum counts against the share and does not come on top of it, retries stay
 * below the larger of `ratio` and `minPerSecond` ÷ requests a second (plus one second's minimum at either end of a run).
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #minPerSecond: number;
  readonly #clock: Clock;
  /** One count a second, written round and round; the sums beside them spare adding them up. */
  readonly #requests = none();
  readonly #retries = none();
  #requestsSum = 0;
  #retriesSum = 0;
  /** The second that is being counted, and its place in the rings. */
  #second = Number.NEGATIVE_INFINITY;
  #slot = 0;

  /** Throws a RangeError if a setting is negative or not a number. */
  constructor(settings: RetryBudgetSettings, clock: Clock) {
    if (!(settings.ratio >= 0)) throw new RangeError(`ratio must be 0 or more, got ${settings.ratio}`);
    if (!(settings.minPerSecond >= 0)) {
      throw new RangeError(`minPerSecond must be 0 or more, got ${settings.minPerSecond}`);
    }
    this.#ratio = settings.ratio;
    this.#minPerSecond = settings.minPerSecond;
    this.#clock = clock;
  }

  /** A request's first try has reached the upstream. */
  request(now = this.#clock.now()): void {
    const slot = this.#moveOn(now);
    this.#requests[slot] = at(this.#requests, slot) + 1;
    this.#requestsSum += 1;
  }

  /** Takes a permit for one retry. False if the budget is spent: do not retry here. */
  tryRetry(): boolean {
    const slot = this.#moveOn(this.#clock.now());
    const thisSecond = at(this.#retries, slot) + 1;
    if (thisSecond > this.#minPerSecond && this.#retriesSum + 1 > this.#ratio * this.#requestsSum)
      return false;
    this.#retries[slot] = thisSecond;
    this.#retriesSum += 1;
    return true;
  }

  /** Forgets the seconds that have left the window. Gives the slot of the current one. */
  #moveOn(now: number): number {
    const second = Math.floor(now / SLOT_MS);
    if (second <= this.#second) return this.#slot;
    const passed = Math.min(second - this.#second, SLOTS);
    for (let i = 0; i < passed; i++) {
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#requestsSum -= at(this.#requests, this.#slot);
      this.#retriesSum -= at(this.#retries, this.#slot);
      this.#requests[this.#slot] = 0;
      this.#retries[this.#slot] = 0;
    }
    this.#second = second;
    return this.#slot;
  }
}

/** The count at an index known to be within the ring. */
function at(counts: readonly number[], index: number): number {
  return counts[index] ?? 0;
}

/** There may be thousands of these: an array of so few weighs a quarter of a typed one. */
function none(): number[] {
  return Array.from({ length: SLOTS }, () => 0);
}
