import { type Clock, systemClock } from '../core/clock.ts';

/** The process's event loop, as far as it can be used to put work off; handed in, so that tests can be late when they like. */
export interface EventLoop {
  clock: Clock;
  /** Milliseconds that its thread has been given to work, so far: less than have passed where it was idle, or others had the processor. */
  worked(): number;
  /** Milliseconds that it has had nothing to do, so far. */
  idle(): number;
  /** Calls once what is ready on sockets now has been looked at. */
  nextTurn(fn: () => void): void;
  /** Calls once all that is ready without another look at the sockets has run: promises above all. */
  settled(fn: () => void): void;
}

const DONE = Promise.resolve();

export const systemLoop: EventLoop = {
  clock: systemClock,
  worked: () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
  idle: () => performance.nodeTiming.idleTime,
  nextTurn: (fn) => void setImmediate(fn),
  // Ticks run before promises, unless it is a promise that asks for one. (Node gives each queueMicrotask a context of its own, which costs more.)
  settled: (fn) => void DONE.then(() => process.nextTick(fn)),
};
