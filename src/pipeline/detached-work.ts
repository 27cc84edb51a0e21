import type { Cancellation } from '../core/cancellation.ts';

/** What goes on though its client has gone: no listener knows of it any more, and a process that ends must wait for it or stop it. */
export class DetachedWork {
  readonly #work = new Set<Cancellation>();
  #ending = false;
  #waiting: (() => void)[] = [];

  /** How much is under way. */
  get count(): number {
    return this.#work.size;
  }

  add(work: Cancellation): void {
    this.#work.add(work);
    if (this.#ending) work.cancel('shutdown');
  }

  /** It has ended. Also of what was never added. */
  remove(work: Cancellation): void {
    if (!this.#work.delete(work) || this.#work.size > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Tells all of it that the process must end, and all that comes from now on. */
  cancelAll(): void {
    this.#ending = true;
    for (const work of [...this.#work]) work.cancel('shutdown');
  }

  /** Resolves when nothing is under way. */
  over(): Promise<void> {
    return this.#work.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#waiting.push(resolve);
        });
  }
}
