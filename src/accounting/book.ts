import type { Principal } from '../auth/keyring.ts';
import type { Clock } from '../core/clock.ts';
import type { OutcomeKind, TryRecord } from '../core/outcome.ts';
import type { Usage } from '../core/usage.ts';
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
  usage: Usage | null;
  prompt?: string;
  answer?: string;
}

/** Closes the book on each request: metrics and the log line. Everything that counts requests counts here. */
export class Book {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #log: Pick<Log, 'line' | 'writes'>;
  readonly #series = new Map<string, RequestSeries>();

  constructor(metrics: Metrics, clock: Clock, log: Pick<Log, 'line' | 'writes'>) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
  }

  close(entry: RequestEntry): void {
    const ms = this.#clock.now() - entry.startedAt;
    const gatewayMs = Math.max(0, ms - entry.waitedMs);
    const series = this.#seriesOf(entry.principal?.tenant.id ?? 'unknown', entry.modelLabel);
    series.answered(entry.status);
    series.duration.observe(ms / 1000);
    if (entry.usage !== null) series.used(entry.usage);
    this.#metrics.gatewayTime.observe(gatewayMs / 1000);
    if (this.#log.writes('info')) this.#log.line(this.#line(entry, ms, gatewayMs));
  }

  #seriesOf(tenant: string, model: string): RequestSeries {
    const key = `${tenant} ${model}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new RequestSeries(this.#metrics, tenant, model);
      this.#series.set(key, series);
    }
    return series;
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
      tokens: entry.usage,
      cost_usd: null,
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
