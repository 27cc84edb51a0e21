import type { Clock, Timer } from '../core/clock.ts';

/** How often it is measured. Milliseconds. */
const EVERY = 10;
/** So much later than asked for a timer goes off on a loop that has nothing to do: the clock's rounding up, and Node's own. Milliseconds. */
const USUAL = 2;

/**
 * How late the event loop is: by how much a timer that repeats goes off too late. A loop that turns in 30 ms is 20 ms late, whatever it is
 * that it does, and nothing that comes in is looked at any sooner. One timer for the process.
 */
export class LoopDelay {
  readonly #clock: Clock;
  readonly #measured: (lateMs: number) => void;
  #due = 0;
  #timer: Timer | null = null;

  /** `measured` is called about a hundred times a second, less often the later the loop is. */
  constructor(clock: Clock, measured: (lateMs: number) => void) {
    this.#clock = clock;
    this.#measured = measured;
  }

  start(): void {
    if (this.#timer === null) this.#schedule();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #schedule(): void {
    this.#due = this.#clock.now() + EVERY + USUAL;
    this.#timer = this.#clock.schedule(EVERY, this.#tick);
  }

  readonly #tick = (): void => {
    this.#measured(Math.max(0, this.#clock.now() - this.#due));
    // Not stopped by whoever was told.
    if (this.#timer !== null) this.#schedule();
  };
}
