import type { Clock, Timer } from '../../src/core/clock.ts';

interface Waiting {
  due: number;
  /** Among those due together, the first scheduled comes first. */
  order: number;
  fn: (() => void) | null;
}

/** Time that passes as fast as there is nothing to do. A heap of what is to come. */
export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #heap: Waiting[] = [];

  now(): number {
    return this.#now;
  }

  wall(): number {
    return Date.UTC(2026, 10, 22) + this.#now;
  }

  schedule(ms: number, fn: () => void): Timer {
    const waiting: Waiting = { due: this.#now + Math.max(0, ms), order: this.#order++, fn };
    this.#push(waiting);
    return {
      cancel: () => {
        waiting.fn = null;
      },
    };
  }

  /** Runs all that falls due until `end`, in order of time; after each event, promises run until they wait for something else. */
  async runUntil(end: number): Promise<void> {
    await settled();
    for (let next = this.#heap[0]; next !== undefined && next.due <= end; next = this.#heap[0]) {
      this.#pop();
      if (next.fn === null) continue;
      this.#now = next.due;
      next.fn();
      await settled();
    }
    this.#now = end;
  }

  #push(waiting: Waiting): void {
    const heap = this.#heap;
    let at = heap.push(waiting) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(waiting, heap[above] as Waiting)) break;
      heap[at] = heap[above] as Waiting;
      at = above;
    }
    heap[at] = waiting;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Waiting;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Waiting, heap[below] as Waiting)) below++;
      if (!isBefore(heap[below] as Waiting, last)) break;
      heap[at] = heap[below] as Waiting;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(one: Waiting, other: Waiting): boolean {
  return one.due < other.due || (one.due === other.due && one.order < other.order);
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
