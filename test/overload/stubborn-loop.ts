import type { Clock, Timer } from '../../src/core/clock.ts';
import type { EventLoop } from '../../src/overload/event-loop.ts';

/** The loop of a gateway under test: it is as late as the test says, and its turns come when the test says so. */
export class StubbornLoop implements EventLoop {
  #now = 1000;
  readonly #timers = new Set<{ due: number; fn: () => void }>();
  #putOff: (() => void)[] = [];

  readonly clock: Clock = {
    now: () => this.#now,
    wall: () => this.#now,
    schedule: (ms, fn): Timer => {
      const timer = { due: this.#now + ms, fn };
      this.#timers.add(timer);
      return { cancel: () => void this.#timers.delete(timer) };
    },
  };

  worked(): number {
    return this.#now;
  }

  idle(): number {
    return 0;
  }

  nextTurn(fn: () => void): void {
    this.#putOff.push(fn);
  }

  settled(fn: () => void): void {
    setImmediate(fn);
  }

  /** Nothing runs for so long; then timers find that they are late. */
  hold(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.due <= this.#now && this.#timers.delete(timer)) timer.fn();
    }
  }

  /** Held up for long enough that it is known how little is done. */
  holdForLong(): void {
    for (let n = 0; n < 20; n++) this.hold(100);
  }

  /** On time, for as long as it takes to believe that. */
  recover(): void {
    for (let n = 0; n < 60; n++) this.hold(11);
  }

  /** What was put off has its turn, and so has what is put off again by that. */
  turn(): void {
    while (this.#putOff.length > 0) for (const fn of this.#putOff.splice(0)) fn();
  }
}
