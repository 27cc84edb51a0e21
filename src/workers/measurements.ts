import { aggregated, onlyGrowing, printed, tenantsIn, withoutTenants } from '../accounting/aggregate.ts';
import { WORKER_DEATHS, WORKERS } from '../accounting/metrics.ts';
import { type MetricObject, newRegistry } from '../accounting/prometheus.ts';
import { type Counter, CounterFamily, registerGauge } from '../accounting/series.ts';
import type { Fleet } from './fleet.ts';
import type { WorkerProcess } from './worker-process.ts';

/** For one scrape; those of Prometheus wait 10 s. Milliseconds. */
const SCRAPE_LIMIT = 3_000;

/**
 * The metrics of all workers as one process would have them. Counters never fall: what a worker told last is kept when it dies. What it
 * counted since then, which Prometheus has never seen, is lost with it.
 */
export class Measurements {
  /** Of this process. Of Node's own only what the system counts for it: its event loop serves no requests. */
  readonly #own = newRegistry();
  readonly #deaths: Counter;
  /** What each living worker told last. */
  readonly #last = new Map<WorkerProcess, MetricObject[]>();
  /** What only grows, of those that died. */
  #departed: MetricObject[] = [];

  constructor() {
    this.#deaths = new CounterFamily(this.#own, WORKER_DEATHS).with({});
    // This one serves nobody; where no worker answers, that is the sum.
    registerGauge(this.#own, WORKERS, () => [{ labels: {}, value: 0 }]);
  }

  died(worker: WorkerProcess): void {
    this.#deaths.value++;
    const last = this.#last.get(worker);
    this.#last.delete(worker);
    if (last !== undefined) this.#departed = aggregated([this.#departed, onlyGrowing(last)]);
  }

  /** One that does not answer in time counts as it was the last time, but not among those that serve. */
  async text(fleet: Fleet): Promise<{ text: string; contentType: string }> {
    const tenants = tenantsIn(this.#departed);
    tenants.delete('unknown');
    const missing = new Set<string>();
    const answered = new Set<WorkerProcess>();
    const { accepting } = fleet;
    await Promise.all(
      accepting.map(async (worker) => {
        try {
          const told = await worker.ask('metrics', { tenants: [...tenants] }, SCRAPE_LIMIT);
          if (!fleet.accepting.includes(worker)) return;
          this.#last.set(worker, told.metrics);
          answered.add(worker);
          for (const tenant of told.missing) missing.add(tenant);
        } catch {
          // It has died, and what it told last is with the departed; or it is busy, and what it told last still stands.
        }
      }),
    );
    // As in a worker: those of a tenant that is gone go, too.
    if (missing.size > 0) this.#departed = withoutTenants(this.#departed, missing);
    const own = (await this.#own.getMetricsAsJSON()).filter(
      ({ name }) => name.startsWith('process_') || name === WORKER_DEATHS.name || name === WORKERS.name,
    );
    const told = [...this.#last].map(([worker, metrics]) =>
      answered.has(worker) ? metrics : metrics.filter(({ name }) => name !== WORKERS.name),
    );
    return await printed(aggregated([own, ...told, this.#departed]));
  }
}
