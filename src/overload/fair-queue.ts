import { Fifo } from './fifo.ts';

/** What each tenant gets before it is the next one's turn. Milliseconds of work: a few small requests. */
export const QUANTUM = 0.1;

/**
 * Waiting lines, one for each tenant, served in turn (deficit round robin): while several wait, each gets the same time, not the same number
 * of requests. Who had nothing waiting comes first, for one turn. Who has been given more than its turn, by a request that took long, is
 * passed over until that is made up for; when nobody waits any more, all is forgotten. Holds no more tenants than have waited since then.
 */
export class FairQueue<T> {
  readonly #lines = new Map<string, Line<T>>();
  /** Lines that have not had their first turn. */
  #fresh = new Fifo<Line<T>>();
  /** All other lines, the one whose turn it is first. */
  #turns = new Fifo<Line<T>>();
  #length = 0;
  #weight = 0;
  /** Whose request was taken last. */
  #served: Line<T> | null = null;

  /** Of all tenants. */
  get length(): number {
    return this.#length;
  }

  /** Of all that wait, as it was told of each. */
  get weight(): number {
    return this.#weight;
  }

  /** That have a line. */
  get tenants(): number {
    return this.#lines.size;
  }

  waitingOf(tenant: string): number {
    return this.#lines.get(tenant)?.items.length ?? 0;
  }

  weightOf(tenant: string): number {
    return this.#lines.get(tenant)?.weight ?? 0;
  }

  add(tenant: string, item: T, weight: number): void {
    let line = this.#lines.get(tenant);
    if (line === undefined) {
      line = { tenant, credit: QUANTUM, weight: 0, items: new Fifo() };
      this.#lines.set(tenant, line);
      this.#fresh.push(line);
    }
    line.items.push({ item, weight });
    line.weight += weight;
    this.#weight += weight;
    this.#length++;
  }

  /** The next one; null: nobody waits. What it took is to be told to `charge` before the next is taken. */
  take(): T | null {
    if (this.#length === 0) {
      this.#forget();
      return null;
    }
    for (;;) {
      const isFresh = this.#fresh.length > 0;
      const lines = isFresh ? this.#fresh : this.#turns;
      const line = lines.first as Line<T>;
      if (line.credit > 0 && line.items.length > 0) {
        this.#served = line;
        const { item, weight } = line.items.shift();
        line.weight -= weight;
        this.#weight -= weight;
        this.#length--;
        return item;
      }
      lines.shift();
      // One that was fresh is to come round once before it can be fresh again.
      if (!isFresh && line.credit >= 0 && line.items.length === 0) this.#lines.delete(line.tenant);
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

  #forget(): void {
    if (this.#lines.size === 0) return;
    this.#lines.clear();
    this.#fresh = new Fifo();
    this.#turns = new Fifo();
  }
}

interface Line<T> {
  readonly tenant: string;
  /** Milliseconds of work that it may still be given in this turn; below 0: was given too much. */
  credit: number;
  /** Of all that wait in it. */
  weight: number;
  readonly items: Fifo<{ item: T; weight: number }>;
}
