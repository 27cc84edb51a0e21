import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from './log.ts';

/** So many refusals have a line each in a second; the others are added up. */
const LINES = 100;
/** How long they are added up. Milliseconds. */
const FOR = 1000;
/** So many tenants have a sum of their own in a line; of the others there is one. */
const TENANTS = 100;

/**
 * The log of refusals that the load is the reason for. At ten thousand a second a line each would be a load of its own, and tell nothing
 * that their number does not: beyond the first hundred of a second, one line for each tenant says how many there were.
 */
export class RefusalLines {
  readonly #clock: Clock;
  readonly #log: Pick<Log, 'warn'>;
  readonly #sums = new Map<string, number>();
  #written = 0;
  #since = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;

  constructor(clock: Clock, log: Pick<Log, 'warn'>) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Does this one have a line of its own? If not, it has been added to its tenant's. */
  refused(tenant: string): boolean {
    const now = this.#clock.now();
    if (now - this.#since >= FOR && this.#timer === null) {
      this.#since = now;
      this.#written = 0;
    }
    if (this.#timer === null && this.#written < LINES) {
      this.#written++;
      return true;
    }
    const key = this.#sums.has(tenant) || this.#sums.size < TENANTS ? tenant : OTHERS;
    this.#sums.set(key, (this.#sums.get(key) ?? 0) + 1);
    this.#timer ??= this.#clock.schedule(Math.max(0, this.#since + FOR - now), this.#sum);
    return false;
  }

  /** Writes what has been added up so far. */
  flush(): void {
    this.#timer?.cancel();
    this.#sum();
  }

  readonly #sum = (): void => {
    this.#timer = null;
    for (const [tenant, count] of this.#sums) {
      const whose = tenant === OTHERS ? { tenant: null, others: true } : { tenant };
      this.#log.warn({ ...whose, status: 503, error: 'server_is_overloaded', count }, 'requests refused');
    }
    this.#sums.clear();
  };
}

/** No tenant is called that. */
const OTHERS = '';
