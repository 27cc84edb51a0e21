import { Fifo } from './fifo.ts';

/** What each tenant gets before it is the next one's turn. Milliseconds of work: a few small requests. */
export const QUANTUM = 0.1;

/**
 * Who was given too much is passed over no longer than this, however many others there are: its next request may be a short one, and a collection of garbage that
 * fell into the last one is none of its doing. Milliseconds.
 */
const PASSED_OVER = 1000;

/**
 * Waiting lines, one for each tenant, served in turn (deficit round robin): while several wait, each gets the same time, not the same number
 * of requests. Who had nothing waiting comes first, for one turn. Who has been given more than its turn, by a request that took long, is
 * passed over until that is made up for, or `PASSED_OVER` has passed; when nobody waits any more, all is forgotten. Holds no more tenants than have
 * waited since then.
 */
export class FairQueue<T> {
  readonly #lines = new Map<string, Line<T>>();
  /** Lines that have not had their first turn. */
  #fresh = new Fifo<Line<T>>();
  /** All other lines, the one whose turn it is first. */
  #turns = new Fifo<Line<T>>();
  #length = 0;
  #weight = 0;
  /** Lines in which somebody waits. */
  #waiting = 0;
  /** They do not wait any more, and are passed over when their line comes to them. */
  readonly #left = new Set<T>();
  /** Whose request was taken last. */
  #served: Line<T> | null = null;
  #servedWeight = 0;
  /** In its first turn: where there are others, it is one of theirs then, lest many that come newly leave nothing for who was served before. */
  #servedFresh = false;

  /** Of all tenants. */
  get length(): number {
    return this.#length;
  }

  /** Of all that wait, as it was told of each. */
  get weight(): number {
    return this.#weight;
  }

  /** That have somebody waiting. */
  get tenantsWaiting(): number {
    return this.#waiting;
  }

  /** Of what was taken last. */
  get servedWeight(): number {
    return this.#servedWeight;
  }

  /** That have a line. */
  get tenants(): number {
    return this.#lines.size;
  }

  waitingOf(tenant: string): number {
    return this.#lines.get(tenant)?.length ?? 0;
  }

  weightOf(tenant: string): number {
    return this.#lines.get(tenant)?.weight ?? 0;
  }

  add(tenant: string, item: T, weight: number): void {
    let line = this.#lines.get(tenant);
    if (line === undefined) {
      line = { tenant, credit: QUANTUM, servedAt: Number.NaN, length: 0, weight: 0, items: new Fifo() };
      this.#lines.set(tenant, line);
      this.#fresh.push(line);
    }
    line.items.push({ item, weight });
    if (++line.length === 1) this.#waiting++;
    line.weight += weight;
    this.#weight += weight;
    this.#length++;
  }

  /** It was added with that weight, has not been taken, and does not wait any more. */
  leave(tenant: string, item: T, weight: number): void {
    this.#left.add(item);
    this.#gone(this.#lines.get(tenant) as Line<T>, weight);
  }

  /** The next one; null: nobody waits. What it took is to be told to `charge` before the next is taken. `now`: in milliseconds. */
  take(now: number): T | null {
    if (this.#length === 0) {
      this.#forget();
      return null;
    }
    for (;;) {
      const isFresh = this.#fresh.length > 0 && (!this.#servedFresh || this.#turns.length === 0);
      const lines = isFresh ? this.#fresh : this.#turns;
      const line = lines.first as Line<T>;
      if (line.credit < QUANTUM && now - line.servedAt >= PASSED_OVER) line.credit = QUANTUM;
      if (line.credit > 0 && line.length > 0) {
        this.#served = line;
        this.#servedFresh = isFresh;
        line.servedAt = now;
        return this.#takeFrom(line);
      }
      lines.shift();
      // Others are passed over one at a time, while somebody waits for a first turn.
      this.#servedFresh = false;
      // One that was fresh is to come round once before it can be fresh again.
      if (!isFresh && line.credit >= 0 && line.length === 0) this.#lines.delete(line.tenant);
      else {
        line.credit += QUANTUM;
        this.#turns.push(line);
      }
    }
  }

  /** What was taken last took so long. Milliseconds. */
  charge(ms: number): void {
    if (this.#served !== null) this.#served.credit -= ms;
    this.#served = null;
  }

  #takeFrom(line: Line<T>): T {
    for (;;) {
      const { item, weight } = line.items.shift();
      if (this.#left.delete(item)) continue;
      this.#servedWeight = weight;
      this.#gone(line, weight);
      return item;
    }
  }

  #gone(line: Line<T>, weight: number): void {
    if (--line.length === 0) this.#waiting--;
    line.weight -= weight;
    this.#weight -= weight;
    this.#length--;
  }

  #forget(): void {
    if (this.#lines.size === 0) return;
    this.#lines.clear();
    this.#left.clear();
    this.#fresh = new Fifo();
    this.#turns = new Fifo();
  }
}

interface Line<T> {
  readonly tenant: string;
  /** Milliseconds of work that it may still be given in this turn; below 0: was given too much. */
  credit: number;
  /** When one of its requests was taken last; NaN: none has been. */
  servedAt: number;
  /** How many wait in it, and their weight. */
  length: number;
  weight: number;
  /** With those that have left. */
  readonly items: Fifo<{ item: T; weight: number }>;
}
