import type { Clock, Timer } from '../core/clock.ts';

/** Whose bounds they are. */
export interface TimerOwner {
  timerWentOff(): void;
}

/**
 * One timer for all the bounds of a try. It is not moved with every byte: it goes off at what was due when it was set, and the try then says what is due
 * now.
 */
export class BoundsTimer {
  readonly #clock: Clock;
  readonly #owner: TimerOwner;
  #timer: Timer | null = null;
  /** When it goes off, on the clock's time. */
  #at = 0;

  constructor(clock: Clock, owner: TimerOwner) {
    this.#clock = clock;
    this.#owner = owner;
  }

  /** It goes off at `at`, or before. Both on the clock's time. */
  set(at: number, now: number): void {
    if (this.#timer !== null && this.#at <= at) return;
    this.#timer?.cancel();
    this.#at = at;
    this.#timer = this.#clock.schedule(Math.max(0, at - now), () => {
      this.#timer = null;
      this.#owner.timerWentOff();
    });
  }

  clear(): void {
    this.#timer?.cancel();
  }
}
