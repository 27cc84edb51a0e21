import type { Clock } from '../core/clock.ts';
import { Fifo } from './fifo.ts';

/** A client that comes back sooner than this has not heeded what it was told. Milliseconds; no client is told to come back sooner. */
const TOLD = 1000;
/** So many of those are refused again in a millisecond: about a tenth of what there is time for. */
const PACE = 5;
/** And so many at once, after a while in which it was fewer. */
const AT_ONCE = 500;
/** So many wait to be refused again, 600 ms at most. Who comes then is refused at once. */
const MOST = 3000;

/**
 * Whoever is refused and asks again at once, on the same connection, is told so again only in turn with others who do: a few hundred such
 * clients would take all the time that there is with nothing but their refusals. Everybody else is refused at once.
 */
export class RefusalPace {
  readonly #clock: Clock;
  /** By connection: until when it should not come back. */
  readonly #told = new WeakMap<object, number>();
  readonly #waiting = new Fifo<() => void>();
  #left = AT_ONCE;
  #movedAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#movedAt = clock.now();
  }

  /** That wait to be refused. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** A request on this connection is refused. Is that to wait? Then `wait` is to be told what to do. */
  hasToWait(connection: object): boolean {
    const now = this.#clock.now();
    const until = this.#told.get(connection) ?? now;
    this.#told.set(connection, now + TOLD);
    if (until <= now) return false;
    if (this.#waiting.length === 0 && this.#left >= 1) {
      this.#left--;
      return false;
    }
    return this.#waiting.length < MOST;
  }

  /** Refuses when it is its turn. `refuse` must not throw. */
  wait(refuse: () => void): void {
    this.#waiting.push(refuse);
  }

  /** Refuses those whose turn it is. To be called again and again. */
  move(): void {
    const now = this.#clock.now();
    this.#left = Math.min(AT_ONCE, this.#left + (now - this.#movedAt) * PACE);
    this.#movedAt = now;
    while (this.#waiting.length > 0 && this.#left >= 1) {
      this.#left--;
      this.#waiting.shift()();
    }
  }

  /** Refuses all of them. */
  flush(): void {
    while (this.#waiting.length > 0) this.#waiting.shift()();
  }
}
