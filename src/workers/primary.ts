import type { ProcessLog } from '../accounting/log.ts';
import { boundTo, urlOf } from '../app/addresses.ts';
import { type Configuration, type ConfigurationSource, readConfiguration } from '../app/configuration.ts';
import type { ReloadEnd } from '../app/current.ts';
import { newIds } from '../app/ids.ts';
import { needsRestart } from '../app/restart.ts';
import type { Findings } from '../config/aside.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { adminListener } from '../server/admin.ts';
import { Fleet } from './fleet.ts';
import { Measurements } from './measurements.ts';
import { fleetOperations } from './operations.ts';
import { WorkerGone, type WorkerProcess } from './worker-process.ts';

export interface PrimaryOptions {
  /** How many workers: more than one. */
  count: number;
  source: ConfigurationSource;
  config: RuntimeConfig;
  findings: Findings;
  log: ProcessLog;
  clock: Clock;
  chance: Chance;
}

type Read = Pick<Extract<Configuration, { ok: true }>, 'config' | 'findings'>;

/** A worker that has not looked at a configuration by then does not take it. Milliseconds. */
const PREPARE_LIMIT = 10_000;
/** One that has not taken it over by then hangs. Milliseconds. */
const TAKE_LIMIT = 10_000;
/** After `drain_timeout`: for the last bytes, and for bringing to Redis what is not written yet. Milliseconds. */
const DRAIN_GRACE = 15_000;

/** The process that clients never talk to: starts the workers, replaces them, and answers operators for all of them. */
export class Primary {
  readonly #options: PrimaryOptions;
  readonly #fleet: Fleet;
  readonly #admin: ReturnType<typeof adminListener>;
  #config: RuntimeConfig;
  #findings: Findings;
  #listening = false;
  #draining = false;
  #reloading: Promise<ReloadEnd> = Promise.resolve({ ok: true });

  constructor(options: PrimaryOptions) {
    const { count, clock, chance, log, config } = options;
    this.#options = options;
    this.#config = config;
    this.#findings = options.findings;
    const measurements = new Measurements(clock);
    this.#fleet = new Fleet({
      count,
      clock,
      chance,
      log,
      port: config.listen.port,
      start: (port) => ({
        source: { ...options.source, listen: { ...config.listen, port } },
        findings: this.#findings,
      }),
      died: (worker) => measurements.died(worker),
    });
    const operations = fleetOperations({
      fleet: this.#fleet,
      measurements,
      clock,
      log,
      config: () => this.#config,
      notReady: () => (this.#draining ? 'draining' : this.#listening ? null : 'not listening yet'),
      reload: () => this.reload(),
    });
    this.#admin = adminListener(operations, newIds());
  }

  /** Resolves to the URLs when all workers accept requests. */
  async listen(): Promise<{ listen: string; admin: string }> {
    const { listen } = this.#config.admin;
    await this.#admin.listen(boundTo(listen));
    const url = await this.#fleet.begin();
    this.#listening = true;
    return { listen: url, admin: urlOf(this.#admin, listen, 'http') };
  }

  /** Takes over the configuration as it now is in the file, in all workers or in none. One after the other, however many ask. */
  reload(): Promise<ReloadEnd> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  /** No new requests; resolves when all workers have ended. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#options.log.info({ workers: this.#fleet.accepting.length }, 'draining all workers');
    await this.#fleet.drain(this.#config.server.drainTimeout + DRAIN_GRACE);
    await this.#admin.close();
  }

  /** Ends all workers at once. */
  kill(): void {
    this.#fleet.kill();
  }

  async #reload(): Promise<ReloadEnd> {
    const { source, log } = this.#options;
    // It may take seconds, in which workers that die are replaced.
    const read = await readConfiguration(source, process.env).catch(unread);
    const problems = read.ok ? needsRestart(read.config, this.#config) : read.problems;
    if (!read.ok || problems.length > 0) return this.#refused(problems);
    for (const warning of read.warnings) log.warn({ problem: warning }, 'configuration');
    return this.#fleet.alone((workers) => this.#takeOver(read, workers));
  }

  async #takeOver({ config, findings }: Read, workers: readonly WorkerProcess[]): Promise<ReloadEnd> {
    const { log } = this.#options;
    const objections = await Promise.all(workers.map((worker) => objectionsOf(worker, findings)));
    if (objections.flat().length > 0) return this.#refused([...new Set(objections.flat())]);
    let taken = false;
    for (const worker of workers) {
      const found = await worker.ask('take', null, TAKE_LIMIT).catch(() => null);
      if (found?.length === 0) {
        // From now on whoever begins begins with it.
        this.#config = config;
        this.#findings = findings;
        taken = true;
      } else if (found !== null && !taken) return this.#refused(found);
      // Nobody knows which one it has, or the others have another: what takes its place has the one in force.
      else worker.kill();
    }
    if (!taken) return this.#refused(['no worker accepts requests just now: try again']);
    log.setLevel(config.log.level);
    log.info({ models: config.models.size, providers: config.providers.size }, 'reloaded');
    return { ok: true };
  }

  #refused(problems: string[]): ReloadEnd {
    this.#options.log.error({ problems }, 'the configuration was not reloaded: the running one stays');
    return { ok: false, problems };
  }
}

/** What a worker has against a configuration. One that has ended has nothing against it: what takes its place begins with what is in force then. */
async function objectionsOf(worker: WorkerProcess, findings: Findings): Promise<string[]> {
  try {
    return await worker.ask('prepare', findings, PREPARE_LIMIT);
  } catch (error) {
    return error instanceof WorkerGone ? [] : [(error as Error).message];
  }
}

/** A mistake of ours, or the want of memory: it must not stand in the way of the next reload. */
function unread(error: Error): { ok: false; problems: string[] } {
  return { ok: false, problems: [`it cannot be read: ${error.message}`] };
}
