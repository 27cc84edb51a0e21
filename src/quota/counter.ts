import { type Part, type Period, partAt } from './periods.ts';
import type { Standing } from './store.ts';

interface Booked extends Part {
  used: number;
  reserved: number;
}

/**
 * What was taken of one limit, by the parts of its period. Knows neither the limit's height nor a clock: both are handed in, `now`
 * by way of `timeAt`.
 */
export class Counter {
  readonly #period: Period | null;
  /** Oldest first. Those that no longer count are forgotten when somebody looks, which leaves 21 at most. */
  readonly #parts: Booked[] = [];
  /** Sums of the parts, kept along so that the hot path adds up nothing. */
  #used = 0;
  #reserved = 0;

  constructor(period: Period | null) {
    this.#period = period;
  }

  /** What time it is here when the clock says `clock`: a clock that was set back counts as the newest part's beginning. */
  timeAt(clock: number): number {
    const newest = this.#parts.at(-1);
    return newest === undefined ? clock : Math.max(clock, newest.start);
  }

  /** `roomIn`: as `Standing` has it. */
  standing(roomIn: number | null, now: number): Standing {
    this.#forget(now);
    return { used: this.#used, reserved: this.#reserved, roomIn, resetsIn: this.#resetsIn(now) };
  }

  /** Used and reserved. */
  total(now: number): number {
    this.#forget(now);
    return this.#used + this.#reserved;
  }

  /** Books `amount` as used in the part that `at` falls in: for nothing, if that no longer counts. */
  charge(amount: number, at: number): void {
    if (amount === 0) return;
    const part = this.#find(at) ?? this.#make(at);
    part.used += amount;
    this.#used += amount;
  }

  /** Holds `amount` in the part that `at` falls in. */
  reserve(amount: number, at: number): void {
    if (amount === 0) return;
    const part = this.#find(at) ?? this.#make(at);
    part.reserved += amount;
    this.#reserved += amount;
  }

  /** Gives back what `reserve` took at `at`, if that still counts. */
  release(amount: number, at: number): void {
    const part = this.#find(at);
    if (part === null) return;
    // Less only where the part was forgotten and came again, by a clock that went forward and back.
    const held = Math.min(amount, part.reserved);
    part.reserved -= held;
    this.#reserved -= held;
  }

  /**
   * Until `amount` fits under `max`, if nothing but time changes anything: 0 = it does, null = it never will, or nobody can know.
   * Milliseconds.
   */
  roomIn(amount: number, max: number, now: number): number | null {
    let taken = this.total(now);
    if (taken + amount <= max) return 0;
    if (amount > max || this.#period === null) return null;
    for (const part of this.#parts) {
      taken -= part.used + part.reserved;
      if (taken + amount <= max) return part.freeAt - now;
    }
    return null;
  }

  /** Until all that is taken is back: 0 = nothing is, null = time brings nothing back. Milliseconds. */
  #resetsIn(now: number): number | null {
    if (this.#period === null) return null;
    const parts = this.#parts;
    for (let i = parts.length - 1; i >= 0; i--) {
      const { used, reserved, freeAt } = parts[i] as Booked;
      if (used + reserved > 0) return freeAt - now;
    }
    return 0;
  }

  /** Drops the parts that no longer count. */
  #forget(now: number): void {
    const parts = this.#parts;
    const oldest = parts[0];
    if (oldest === undefined || oldest.freeAt > now) return;
    const kept = parts.findIndex(({ freeAt }) => freeAt > now);
    parts.splice(0, kept < 0 ? parts.length : kept);
    this.#used = 0;
    this.#reserved = 0;
    for (const { used, reserved } of parts) {
      this.#used += used;
      this.#reserved += reserved;
    }
  }

  /** The part that `at` falls in. Null if nothing was booked in it, or it was forgotten. */
  #find(at: number): Booked | null {
    // From the end: what is settled was mostly admitted not long ago.
    for (let i = this.#parts.length - 1; i >= 0; i--) {
      const part = this.#parts[i];
      if (part !== undefined && part.start <= at) return at < part.end ? part : null;
    }
    return null;
  }

  /** For where `#find` found none. */
  #make(at: number): Booked {
    const made = { ...partAt(this.#period, at), used: 0, reserved: 0 };
    this.#parts.splice(this.#parts.findLastIndex(({ start }) => start < made.start) + 1, 0, made);
    return made;
  }
}
