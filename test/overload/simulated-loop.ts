import type { Clock, Timer } from '../../src/core/clock.ts';
import type { EventLoop } from '../../src/overload/event-loop.ts';

/** What it takes to go round once, with nothing to do. Milliseconds. */
const TURN = 0.005;

interface Due {
  at: number;
  fn: () => void;
  cancelled?: true;
}

/**
 * An event loop whose time is that which its work takes: timers, then sockets, then what was put off, as Node's goes round. What falls
 * due while it works is late, as it would be there.
 */
export class SimulatedLoop implements EventLoop {
  turns = 0;
  #now = 1000;
  #worked = 0;
  #idle = 0;
  readonly #timers = new Heap();
  readonly #sockets = new Heap();
  readonly #connecting = new Heap();
  #putOff: (() => void)[] = [];
  #settled: (() => void)[] = [];

  readonly clock: Clock = {
    now: () => this.#now,
    wall: () => this.#now,
    schedule: (ms, fn): Timer => {
      const timer: Due = { at: this.#now + Math.ceil(ms) + 1, fn };
      this.#timers.add(timer);
      return {
        cancel: () => {
          timer.cancelled = true;
        },
      };
    },
  };

  nextTurn(fn: () => void): void {
    this.#putOff.push(fn);
  }

  settled(fn: () => void): void {
    this.#settled.push(fn);
  }

  worked(): number {
    return this.#worked;
  }

  idle(): number {
    return this.#idle;
  }

  /** Work that takes so long. */
  work(ms: number): void {
    this.#now += ms;
    this.#worked += ms;
  }

  /** Others have the processor for so long. */
  standStill(ms: number): void {
    this.#now += ms;
  }

  /** Something comes on a socket at that time. */
  at(time: number, fn: () => void): void {
    this.#sockets.add({ at: time, fn });
  }

  /** A client connects at that time: one is let in each time round, and what is done then is `fn`. */
  connectAt(time: number, fn: () => void): void {
    this.#connecting.add({ at: time, fn });
  }

  /** Goes round for so long. */
  run(ms: number): void {
    const end = this.#now + ms;
    while (this.#now < end) {
      this.turns++;
      this.work(TURN);
      this.#runDue(this.#timers);
      this.#runDue(this.#sockets);
      if (this.#connecting.first <= this.#now) this.#run(this.#connecting.take().fn);
      for (const fn of this.#putOff.splice(0)) this.#run(fn);
      if (this.#putOff.length > 0) continue;
      const next = Math.min(this.#timers.first, this.#sockets.first, this.#connecting.first);
      const idle = Math.max(0, Math.min(next, end) - this.#now);
      this.#now += idle;
      this.#idle += idle;
    }
  }

  /** What is due when it is begun; what falls due meanwhile waits for the next time round. */
  #runDue(heap: Heap): void {
    const by = this.#now;
    while (heap.first <= by) {
      const due = heap.take();
      if (due.cancelled !== true) this.#run(due.fn);
    }
  }

  #run(fn: () => void): void {
    fn();
    for (let next = this.#settled.shift(); next !== undefined; next = this.#settled.shift()) next();
  }
}

/** The one that is due first comes out first. */
class Heap {
  readonly #heap: Due[] = [];

  get first(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  add(due: Due): void {
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#at(parent) <= due.at) break;
      heap[at] = heap[parent] as Due;
      at = parent;
    }
    heap[at] = due;
  }

  take(): Due {
    const heap = this.#heap;
    const first = heap[0] as Due;
    const last = heap.pop() as Due;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (this.#at(child + 1) < this.#at(child)) child++;
      if (last.at <= this.#at(child)) break;
      heap[at] = heap[child] as Due;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  #at(index: number): number {
    return this.#heap[index]?.at ?? Number.POSITIVE_INFINITY;
  }
}
