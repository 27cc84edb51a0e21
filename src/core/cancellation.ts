import type { Clock } from './clock.ts';

/** Why work was told to stop. `superseded`: another try of the same request gave content first. */
export type CancelReason = 'client_gone' | 'shutdown' | 'superseded';

/** Work that can be told to stop. An object, not a function: a try is its own listener, and needs no closure made for it. */
export interface CancelListener {
  cancelled(reason: CancelReason): void;
}

/**
 * Tells the work of one request to stop. What an AbortController does, at a tenth of its cost: one is made for every
 * request, and nearly none is ever used.
 */
export class Cancellation implements CancelListener {
  #reason: CancelReason | null = null;
  /** Hardly ever more than one: to be added to, an array makes room for many. */
  #listeners: CancelListener[] | null = null;

  /** The reason of the first `cancel`, or null. */
  get reason(): CancelReason | null {
    return this.#reason;
  }

  /** Calls every listener once, in the order they came. Later calls do nothing. */
  cancel(reason: CancelReason): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    const listeners = this.#listeners ?? [];
    this.#listeners = null;
    for (const listener of listeners) listener.cancelled(reason);
  }

  /** As the listener of another one: work that is a part of other work ends with it. */
  cancelled(reason: CancelReason): void {
    this.cancel(reason);
  }

  /** Registers a listener; called at once if already cancelled. */
  add(listener: CancelListener): void {
    if (this.#reason !== null) listener.cancelled(this.#reason);
    else if (this.#listeners === null) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  remove(listener: CancelListener): void {
    const listeners = this.#listeners;
    if (listeners === null) return;
    const index = listeners.indexOf(listener);
    if (index < 0) return;
    if (listeners.length === 1) this.#listeners = null;
    else listeners.splice(index, 1);
  }
}

/** Waits `ms`. Resolves to true when the time has passed, to false as soon as the work is cancelled. */
export function sleep(clock: Clock, ms: number, cancellation: Cancellation): Promise<boolean> {
  if (cancellation.reason !== null) return Promise.resolve(false);
  return new Promise((resolve) => {
    const listener = {
      cancelled: () => {
        timer.cancel();
        resolve(false);
      },
    };
    const timer = clock.schedule(ms, () => {
      cancellation.remove(listener);
      resolve(true);
    });
    cancellation.add(listener);
  });
}
