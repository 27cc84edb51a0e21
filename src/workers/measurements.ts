import { aggregated, asText, inPieces, type Told } from '../accounting/aggregate.ts';
import { inWords, SERIES_AT_ONCE } from '../accounting/exposition.ts';
import { WORKER_DEATHS, WORKERS } from '../accounting/metrics.ts';
import { newRegistry } from '../accounting/prometheus.ts';
import { type Counter, CounterFamily, registerGauge } from '../accounting/series.ts';
import type { Clock } from '../core/clock.ts';
import { Departed, type Missing } from './departed.ts';
import type { Kind, Questions } from './questions.ts';
import type { WorkerProcess } from './worker-process.ts';

/** A worker that is silent for so long is done without. Milliseconds. */
const SILENCE_LIMIT = 3_000;
/** For all that a worker tells for one scrape; those of Prometheus wait 10 s. Milliseconds. */
const TELLING_LIMIT = 8_000;

type Asked = Pick<WorkerProcess, 'ask'>;

/** Those that accept requests. */
interface Accepting {
  readonly accepting: readonly Asked[];
}

/**
 * The metrics of all workers as one process would have them. Counters never fall: what a worker told last is kept when it dies. What it
 * counted since then, which Prometheus has never seen, is lost with it.
 *
 * Thousands of tenants have a hundred thousand series, and neither clients of a worker nor new connections, which come through this
 * process, wait for all of them: they are told, added up and printed in pieces, between which others have their turn.
 */
export class Measurements {
  readonly #clock: Clock;
  /** Of this process. Of Node's own only what the system counts for it: its event loop serves no requests. */
  readonly #own = newRegistry();
  readonly #deaths: Counter;
  /** What each living worker told last. */
  readonly #last = new Map<Asked, readonly Told[]>();
  readonly #departed = new Departed();
  /** Never rejects. */
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<{ text: string; contentType: string }> | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#deaths = new CounterFamily(this.#own, WORKER_DEATHS).with({});
    // This one serves nobody; where no worker answers, that is the sum.
    registerGauge(this.#own, WORKERS, () => [{ labels: {}, value: 0 }]);
  }

  died(worker: Asked): void {
    this.#deaths.value++;
    const last = this.#last.get(worker);
    this.#last.delete(worker);
    if (last !== undefined) this.#departed.died(last);
  }

  /** One that does not answer in time counts as it was the last time, but not among those that serve. */
  text(fleet: Accepting): Promise<{ text: string; contentType: string }> {
    // A worker tells once at a time. What is under way may have been told too early for who asks now; all who wait have the next one.
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      const run = this.#text(fleet);
      this.#running = run.catch(() => {});
      return run;
    });
    return this.#next;
  }

  async #text(fleet: Accepting): Promise<{ text: string; contentType: string }> {
    await this.#departed.addUp();
    const tenants = [...this.#departed.tenants];
    const answered = new Set<Asked>();
    const missing: Missing[] = [];
    await Promise.all(
      fleet.accepting.map(async (worker) => {
        try {
          const ask = this.#asking(worker);
          const gone = await missingOf(ask, tenants);
          const told = await toldBy(ask);
          if (!fleet.accepting.includes(worker)) return;
          this.#last.set(worker, told);
          answered.add(worker);
          missing.push(gone);
        } catch {
          // It has died, and what it told last is with the departed; or it is busy, and what it told last still stands.
        }
      }),
    );
    await this.#departed.forget(missing);
    const own: Told[] = [];
    const ours = this.#own.getMetricsAsArray().filter(isOfUse);
    for await (const piece of inPieces(inWords(ours))) own.push(...piece);
    // From here on it is as of this moment, whoever dies while it is printed.
    const told = [...this.#last].map(([worker, metrics]) =>
      answered.has(worker) ? metrics : metrics.filter(({ name }) => name !== WORKERS.name),
    );
    return await asText(aggregated([own, ...told, ...this.#departed.told]));
  }

  /** Asks the worker for one scrape. */
  #asking(worker: Asked): Ask {
    const until = this.#clock.now() + TELLING_LIMIT;
    return (kind, asked) =>
      worker.ask(kind, asked, Math.min(SILENCE_LIMIT, Math.max(0, until - this.#clock.now())));
  }
}

type Ask = <K extends Kind>(kind: K, asked: Questions[K]['asked']) => Promise<Questions[K]['answer']>;

/** All that the worker measured, as soon as it has told the last of it. */
async function toldBy(ask: Ask): Promise<readonly Told[]> {
  const told: Told[] = [];
  for (let isFirst = true; ; isFirst = false) {
    const piece = await ask('metrics', { anew: isFirst });
    if (piece === null) return told;
    told.push(...piece);
  }
}

async function missingOf(ask: Ask, tenants: readonly string[]): Promise<Missing> {
  const missing: string[] = [];
  for (let from = 0; from < tenants.length; from += SERIES_AT_ONCE) {
    const some = await ask('missingTenants', { tenants: tenants.slice(from, from + SERIES_AT_ONCE) });
    if (some === null) return null;
    missing.push(...some);
  }
  return missing;
}

function isOfUse({ name }: { name: string }): boolean {
  return name.startsWith('process_') || name === WORKER_DEATHS.name || name === WORKERS.name;
}
