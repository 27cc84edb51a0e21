import type { Clock, Timer } from '../../src/core/clock.ts';

interface Waiting {
  readonly due: number;
  readonly fn: () => void;
}

/** A clock that moves only when the test says so. */
export class ManualClock implements Clock {
  #now: number;
  readonly #wallAtZero: number;
  /** In the order in which they were scheduled. */
  readonly #waiting = new Set<Waiting>();

  /** Starts at `start` milliseconds, when it is `wall` milliseconds since the epoch. */
  constructor(start = 0, wall = Date.UTC(2026, 10, 22, 9)) {
    this.#now = start;
    this.#wallAtZero = wall - start;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wallAtZero + this.#now;
  }

  schedule(ms: number, fn: () => void): Timer {
    const waiting = { due: this.#now + Math.max(0, ms), fn };
    this.#waiting.add(waiting);
    return { cancel: () => void this.#waiting.delete(waiting) };
  }

  /** Timers that have neither fired nor been cancelled: 0 when nothing leaks. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Moves on by `ms`, running what falls due in order of time, also what those timers schedule in turn. */
  advance(ms: number): void {
    const end = this.#endOf(ms);
    while (this.#runNext(end));
    this.#now = end;
  }

  /** `advance` for code that awaits: after each timer, lets promises run until they wait for something else, and what is put off to the next turn. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#endOf(ms);
    do {
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    } while (this.#runNext(end));
    this.#now = end;
  }

  #endOf(ms: number): number {
    if (!(ms >= 0)) throw new RangeError(`a clock moves forward, not by ${ms} ms`);
    return this.#now + ms;
  }

  /** Runs the first timer due at or before `end`. False if there is none. */
  #runNext(end: number): boolean {
    let next: Waiting | null = null;
    for (const waiting of this.#waiting) {
      if (waiting.due <= end && (next === null || waiting.due < next.due)) next = waiting;
    }
    if (next === null) return false;
    this.#waiting.delete(next);
    this.#now = Math.max(this.#now, next.due);
    next.fn();
    return true;
  }
}
