import type { Clock } from '../core/clock.ts';
import { CredentialsError } from './credentials.ts';

/** No call waits longer. The lookup goes on, and serves the next call. Milliseconds. */
const LONGEST_WAIT = 5000;
/** A lookup that has taken this long will not end: the next call begins another. Milliseconds. */
const LONGEST_LOOKUP = 30 * 1000;

/** Asks whoever gives out credentials: once for all who wait for the answer. */
export class SharedLookup<T> {
  readonly #look: () => Promise<T>;
  readonly #clock: Clock;
  readonly #what: string;
  #current: { begunAt: number; found: Promise<T> } | null = null;

  /** `look` rejects with nothing but a CredentialsError. `what` is looked for, for people. */
  constructor(look: () => Promise<T>, clock: Clock, what: string) {
    this.#look = look;
    this.#clock = clock;
    this.#what = what;
  }

  /** The one that is under way, or another. */
  begin(): Promise<T> {
    const now = this.#clock.now();
    if (this.#current !== null && now - this.#current.begunAt < LONGEST_LOOKUP) return this.#current.found;
    const lookup = { begunAt: now, found: this.#look() };
    const over = () => {
      if (this.#current === lookup) this.#current = null;
    };
    this.#current = lookup;
    lookup.found.then(over, over);
    return lookup.found;
  }

  /** What it finds, if that comes in time. */
  wait(): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.schedule(LONGEST_WAIT, () =>
        reject(new CredentialsError(`no ${this.#what} within ${LONGEST_WAIT} ms`, false)),
      );
      this.begin()
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }
}

/** Asks a source, and another one where the last question was never answered: whoever shares what is under way would hand out the same silence again. */
export function answering<Source, T>(
  make: () => Source,
  ask: (source: Source) => Promise<T>,
): () => Promise<T> {
  let source = make();
  let isAsking = false;
  return async () => {
    if (isAsking) source = make();
    isAsking = true;
    const asked = source;
    try {
      return await ask(asked);
    } finally {
      if (asked === source) isAsking = false;
    }
  };
}
