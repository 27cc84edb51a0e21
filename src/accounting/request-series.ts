import { NANODOLLARS, type Spent } from '../core/usage.ts';
import type { Metrics } from './metrics.ts';
import type { Counter, Histogram } from './series.ts';

/** The series of one tenant and one model name, looked up once and kept. */
export class RequestSeries {
  readonly #metrics: Metrics;
  readonly #tenant: string;
  readonly #model: string;
  readonly #byStatus = new Map<number, Counter>();
  readonly duration: Histogram;
  readonly #input: Counter;
  readonly #output: Counter;
  readonly #cached: Counter;
  readonly #reasoning: Counter;
  readonly #cacheWrite: Counter;
  readonly #cost: Money;
  readonly #cacheSaved: Money;
  readonly #cacheWriteExtra: Money;

  constructor(metrics: Metrics, tenant: string, model: string) {
    this.#metrics = metrics;
    this.#tenant = tenant;
    this.#model = model;
    this.duration = metrics.durations.with({ model });
    this.#input = metrics.tokens.with({ tenant, model, kind: 'input' });
    this.#output = metrics.tokens.with({ tenant, model, kind: 'output' });
    this.#cached = metrics.tokens.with({ tenant, model, kind: 'cached' });
    this.#reasoning = metrics.tokens.with({ tenant, model, kind: 'reasoning' });
    this.#cacheWrite = metrics.tokens.with({ tenant, model, kind: 'cache_write' });
    this.#cost = new Money(metrics.cost.with({ tenant, model }));
    this.#cacheSaved = new Money(metrics.cacheSaved.with({ tenant, model }));
    this.#cacheWriteExtra = new Money(metrics.cacheWriteExtra.with({ tenant, model }));
  }

  answered(status: number): void {
    let counter = this.#byStatus.get(status);
    if (counter === undefined) {
      counter = this.#metrics.requests.with({
        tenant: this.#tenant,
        model: this.#model,
        status: String(status),
      });
      this.#byStatus.set(status, counter);
    }
    counter.value++;
  }

  spent({ usage, cost, cacheSaved }: Spent): void {
    if (cost !== null) this.#cost.add(cost);
    if (cacheSaved !== undefined) {
      // A counter never goes down: what costs less than nothing more is saved, and the other way round. The difference stays the same.
      const { read, written } = cacheSaved;
      this.#cacheSaved.add(Math.max(0, read) + Math.max(0, -written));
      this.#cacheWriteExtra.add(Math.max(0, written) + Math.max(0, -read));
    }
    this.#input.value += usage.input;
    this.#output.value += usage.output;
    this.#cached.value += usage.cached;
    this.#cacheWrite.value += usage.cacheWrite;
    this.#reasoning.value += usage.reasoning;
  }
}

/** A counter of dollars. Its sum is kept in whole nanodollars: of fractions it would drift. */
class Money {
  readonly #counter: Counter;
  #nanodollars = 0;

  constructor(counter: Counter) {
    this.#counter = counter;
  }

  add(nanodollars: number): void {
    this.#nanodollars += nanodollars;
    this.#counter.value = this.#nanodollars / NANODOLLARS;
  }
}
