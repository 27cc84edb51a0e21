import type { Clock } from '../core/clock.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { RequestEntry } from './request-entry.ts';
import { RequestLines } from './request-line.ts';
import { RequestSeries } from './request-series.ts';

/** The tenant of requests whose key is not known. */
const NOBODY = 'unknown';

/** Why an answer was not given to its end: others needed the memory, or its client took it too slowly, or not at all. */
export type AnswerCut = 'memory' | 'slow';

/** Closes the book on each request: metrics and the log line. Everything that counts requests counts here. */
export class Book {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #log: Pick<Log, 'line' | 'writes'>;
  /** By tenant, then by the model's name in metrics. */
  readonly #series = new Map<string, Map<string, RequestSeries>>();
  readonly #lines = new RequestLines();
  /** Tenants that were not there any more at the last scrape. */
  #gone: ReadonlySet<string> = new Set();

  constructor(metrics: Metrics, clock: Clock, log: Pick<Log, 'line' | 'writes'>) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Before each scrape: drops the series of tenants that are gone, at the second one that finds them so, since the first one shows what
   * they came to. Tenants come and go by the admin API, and series must not become more and more.
   */
  forgetTenants(isTenant: (id: string) => boolean): void {
    const missing = new Set<string>();
    for (const tenant of this.#series.keys()) {
      if (tenant !== NOBODY && !isTenant(tenant)) missing.add(tenant);
    }
    const gone = new Set([...missing].filter((tenant) => this.#gone.has(tenant)));
    // What ends only now is to be shown once, as well.
    this.#gone = new Set([...missing].filter((tenant) => !gone.has(tenant)));
    if (gone.size === 0) return;
    for (const tenant of gone) this.#series.delete(tenant);
    const metrics = this.#metrics;
    for (const family of [
      metrics.requests,
      metrics.tokens,
      metrics.cost,
      metrics.cacheSaved,
      metrics.cacheWriteExtra,
      metrics.quotaRefusals,
      metrics.overloadRefusals,
      metrics.answersCut,
    ]) {
      family.drop('tenant', gone);
    }
  }

  close(entry: RequestEntry): void {
    const ms = this.#clock.now() - entry.startedAt;
    const gatewayMs = Math.max(0, ms - entry.waitedMs);
    const series = this.#seriesOf(entry.principal?.tenant.id ?? NOBODY, entry.modelLabel);
    series.answered(entry.status);
    series.duration.observe(ms / 1000);
    if (entry.spent !== null) series.spent(entry.spent);
    if (entry.cache !== undefined) {
      this.#metrics.cacheRequests.with({ model: entry.modelLabel, result: entry.cache }).value++;
    }
    if (entry.replayed) this.#metrics.replayed.with({ model: entry.modelLabel }).value++;
    this.#metrics.gatewayTime.observe(gatewayMs / 1000);
    if (entry.isAddedUp !== true && this.#log.writes('info')) {
      this.#log.line(this.#lines.of(entry, { wall: this.#clock.wall(), ms, gatewayMs }));
    }
  }

  /** An answer was not taken by its client. The book on it was closed when it was given, which may have been long ago. */
  answerCut(tenant: string, reason: AnswerCut): void {
    this.#metrics.answersCut.with({ tenant, reason }).value++;
    // The tenant may be gone, and its series dropped: this one is to be, too.
    if (!this.#series.has(tenant)) this.#series.set(tenant, new Map());
  }

  #seriesOf(tenant: string, model: string): RequestSeries {
    let ofTenant = this.#series.get(tenant);
    if (ofTenant === undefined) {
      ofTenant = new Map();
      this.#series.set(tenant, ofTenant);
    }
    let series = ofTenant.get(model);
    if (series === undefined) {
      series = new RequestSeries(this.#metrics, tenant, model);
      ofTenant.set(model, series);
    }
    return series;
  }
}
