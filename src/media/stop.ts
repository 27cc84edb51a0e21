import type { CancelListener, Cancellation } from '../core/cancellation.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { MediaError } from './media-error.ts';

export const LATE = 'The URL did not give the file in time.';

/** For whom a file is fetched, and when to stop besides the fetcher's own bounds. */
export interface MediaLimits {
  /** Out of whose share of the places; left out: all who name nobody have one together. */
  owner?: string;
  cancellation?: Cancellation;
  /** On the clock's monotonic time. */
  deadline?: number;
}

/** How slow a file may come. */
export interface Pace {
  /** Milliseconds in each of which so much must come. */
  every: number;
  /** Bytes. */
  least: number;
}

/** Says when a fetch is to be given up, as a signal whose reason is the error; `end` lets go of what it listens to. */
export class Stop implements CancelListener {
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #cancellation: Cancellation | undefined;
  readonly #deadline: number;
  #timer: Timer | null = null;
  #paceTimer: Timer | null = null;
  /** Bytes that came since the pace was looked at. */
  #came = 0;

  constructor(clock: Clock, { cancellation, deadline = Infinity }: MediaLimits) {
    this.#clock = clock;
    this.#deadline = deadline;
    this.#cancellation = cancellation;
    cancellation?.add(this);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Bounds what is done from now on, in place of the bound before; by the deadline as well. Milliseconds. */
  within(ms: number, why: string): void {
    this.#timer?.cancel();
    const left = Math.max(0, this.#deadline - this.#clock.now());
    this.#timer = this.#clock.schedule(Math.min(ms, left), () => this.#stop(left < ms ? LATE : why));
  }

  /** From now on, what comes must come at a pace. */
  atPace(pace: Pace, why: string): void {
    this.#came = 0;
    this.#paceTimer = this.#clock.schedule(pace.every, () => {
      if (this.#came < pace.least) this.#stop(why);
      else this.atPace(pace, why);
    });
  }

  came(bytes: number): void {
    this.#came += bytes;
  }

  cancelled(): void {
    this.#stop('The request was given up.');
  }

  end(): void {
    this.#timer?.cancel();
    this.#paceTimer?.cancel();
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
