import type { Clock } from '../core/clock.ts';

/** The answer, or an Error whose message says that there was none in time. What was asked goes on all the same. */
export function within<T>(clock: Clock, limit: number, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = afterReading(clock, limit, () => reject(new Error(noAnswer(limit))));
    answer.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: Error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}

export function noAnswer(limit: number): string {
  return `no answer within ${limit} ms`;
}

/**
 * Calls `fn` when the time is over and all has been read that came until then: where it was this process that was slow, the answer
 * is there already, and timers go off before sockets are read.
 */
export function afterReading(clock: Clock, limit: number, fn: () => void): { cancel(): void } {
  let reading: NodeJS.Immediate | null = null;
  const timer = clock.schedule(limit, () => {
    reading = setImmediate(fn);
  });
  return {
    cancel() {
      timer.cancel();
      if (reading !== null) clearImmediate(reading);
    },
  };
}
