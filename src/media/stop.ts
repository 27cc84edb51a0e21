import type { CancelListener, Cancellation } from '../core/cancellation.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { MediaError } from './media-error.ts';

/** When to stop, besides the fetcher's own bound. */
export interface MediaLimits {
  cancellation?: Cancellation;
  /** On the clock's monotonic time. */
  deadline?: number;
}

/** Says when a fetch is to be given up, as a signal whose reason is the error; `end` lets go of what it listens to. */
export class Stop implements CancelListener {
  readonly #controller = new AbortController();
  readonly #cancellation: Cancellation | undefined;
  readonly #timer: Timer;

  constructor(clock: Clock, timeout: number, { cancellation, deadline = Infinity }: MediaLimits) {
    const ms = Math.min(timeout, Math.max(0, deadline - clock.now()));
    this.#timer = clock.schedule(ms, () => this.#stop('The URL did not give the file in time.'));
    this.#cancellation = cancellation;
    cancellation?.add(this);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cancelled(): void {
    this.#stop('The request was given up.');
  }

  end(): void {
    this.#timer.cancel();
    this.#cancellation?.remove(this);
  }

  #stop(why: string): void {
    this.#controller.abort(new MediaError(why));
  }
}

/** The same, but no longer than the signal allows; it rejects with the signal's reason. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
