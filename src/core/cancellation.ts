import type { Clock } from './clock.ts';

/** Why work was told to stop. */
export type CancelReason = 'client_gone' | 'shutdown';

type Listener = (reason: CancelReason) => void;

/**
 * Tells the work of one request to stop. What an AbortController does, at a tenth of its cost: one is made for every
 * request, and nearly none is ever used.
 */
export class Cancellation {
  #reason: CancelReason | null = null;
  readonly #listeners = new Set<Listener>();

  /** The reason of the first `cancel`, or null. */
  get reason(): CancelReason | null {
    return this.#reason;
  }

  /** Calls every listener once, in the order they came. Later calls do nothing. */
  cancel(reason: CancelReason): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(reason);
  }

  /** Registers a listener; called at once if already cancelled. */
  add(listener: Listener): void {
    if (this.#reason !== null) listener(this.#reason);
    else this.#listeners.add(listener);
  }

  remove(listener: Listener): void {
    this.#listeners.delete(listener);
  }
}

/** Waits `ms`. Resolves to true when the time has passed, to false as soon as the work is cancelled. */
export function sleep(clock: Clock, ms: number, cancellation: Cancellation): Promise<boolean> {
  if (cancellation.reason !== null) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onCancel = () => {
      timer.cancel();
      resolve(false);
    };
    const timer = clock.schedule(ms, () => {
      cancellation.remove(onCancel);
      resolve(true);
    });
    cancellation.add(onCancel);
  });
}
