import type { Principal } from '../auth/keyring.ts';
import type { Clock } from '../core/clock.ts';
import type { OutcomeKind, TryRecord } from '../core/outcome.ts';
import { type CacheSaved, NANODOLLARS, type PartSpent, type Spent } from '../core/usage.ts';
import type { Log } from './log.ts';
import { type Metrics, RequestSeries } from './metrics.ts';

/** All that is known of one request when it is over. */
export interface RequestEntry {
  /** What the client sees as `x-request-id`. */
  id: string;
  principal: Principal | null;
  /** The name that was asked for; null where none could be read. */
  model: string | null;
  /** The same for metrics: a name of the configuration, or one word for all others. */
  modelLabel: string;
  /** `provider/model` that answered. */
  target: string | null;
  /** What the client was answered with; 499 if it had left before. */
  status: number;
  outcome: OutcomeKind | 'refused' | 'unanswered';
  stream: boolean;
  tries: readonly TryRecord[];
  firstTokenMs: number | null;
  /** Milliseconds with upstreams, between tries, and for the client's body. */
  waitedMs: number;
  startedAt: number;
  /** What the answer took; null if there was none. */
  spent: Spent | null;
  /** How it was answered by a node that keeps answers; left out: it came by none. */
  cache?: 'hit' | 'miss' | 'shared';
  /** It was given the answer that an earlier request with its `Idempotency-Key` had. */
  replayed?: true;
  /** Of a request that was refused: the code of the error, and the quota that was in the way. */
  error?: string;
  quota?: string;
  prompt?: string;
  answer?: string;
}

/** The tenant of requests whose key is not known. */
const NOBODY = 'unknown';

/** Closes the book on each request: metrics and the log line. Everything that counts requests counts here. */
export class Book {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #log: Pick<Log, 'line' | 'writes'>;
  readonly #series = new Map<string, { tenant: string; series: RequestSeries }>();
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
    for (const { tenant } of this.#series.values()) {
      if (tenant !== NOBODY && !isTenant(tenant)) missing.add(tenant);
    }
    const gone = new Set([...missing].filter((tenant) => this.#gone.has(tenant)));
    // What ends only now is to be shown once, as well.
    this.#gone = new Set([...missing].filter((tenant) => !gone.has(tenant)));
    if (gone.size === 0) return;
    for (const [key, { tenant }] of this.#series) if (gone.has(tenant)) this.#series.delete(key);
    const { requests, tokens, cost, cacheSaved, cacheWriteExtra, quotaRefusals } = this.#metrics;
    for (const family of [requests, tokens, cost, cacheSaved, cacheWriteExtra, quotaRefusals]) {
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
    if (this.#log.writes('info')) this.#log.line(this.#line(entry, ms, gatewayMs));
  }

  #seriesOf(tenant: string, model: string): RequestSeries {
    const key = `${tenant} ${model}`;
    let known = this.#series.get(key);
    if (known === undefined) {
      known = { tenant, series: new RequestSeries(this.#metrics, tenant, model) };
      this.#series.set(key, known);
    }
    return known.series;
  }

  #line(entry: RequestEntry, ms: number, gatewayMs: number): string {
    const line = {
      level: 30,
      time: this.#clock.wall(),
      msg: 'request',
      id: entry.id,
      tenant: entry.principal?.tenant.id ?? null,
      key: entry.principal?.key ?? null,
      model: entry.model,
      target: entry.target,
      status: entry.status,
      outcome: entry.outcome,
      stream: entry.stream,
      tries: entry.tries.map(({ target, outcome, status, ms }) => ({
        target,
        outcome,
        status,
        ms: round(ms),
      })),
      first_token_ms: entry.firstTokenMs === null ? null : round(entry.firstTokenMs),
      ms: round(ms),
      gateway_ms: round(gatewayMs),
      tokens: entry.spent === null ? null : tokensOf(entry.spent),
      cost_usd: entry.spent?.cost == null ? null : entry.spent.cost / NANODOLLARS,
      parts: entry.spent?.parts?.map(partOf),
      cache_saved_usd: savedBy(entry.spent?.cacheSaved),
      cache: entry.cache,
      replayed: entry.replayed,
      error: entry.error,
      quota: entry.quota,
      prompt: entry.prompt,
      answer: entry.answer,
    };
    return `${JSON.stringify(line)}\n`;
  }
}

/** To microseconds. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** The tokens of the log line. `cache_write` stands there only where there were some, `estimated` where they were counted here. */
function tokensOf({ usage, estimated }: Spent): object {
  const { input, output, cached, cacheWrite, reasoning } = usage;
  return {
    input,
    output,
    cached,
    ...(cacheWrite > 0 ? { cache_write: cacheWrite } : {}),
    reasoning,
    ...(estimated ? { estimated } : {}),
  };
}

/** Who wrote how much of an answer that was gone on with. */
function partOf({ target, usage, cost }: PartSpent): object {
  return { target, output: usage.output, cost_usd: cost === null ? null : cost / NANODOLLARS };
}

/** Dollars, all in all; below 0 where more was written than read. */
function savedBy(saved: CacheSaved | undefined): number | undefined {
  return saved === undefined ? undefined : (saved.read - saved.written) / NANODOLLARS;
}
