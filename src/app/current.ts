import type { Log } from '../accounting/log.ts';
import { HashedKeyring, OpenKeyring } from '../auth/keyring.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import type { Clock } from '../core/clock.ts';
import { makeRedact, type Redact } from '../core/redact.ts';
import type { Live } from '../pipeline/live.ts';
import { ProviderLimiter } from '../upstream/provider-limits.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import { bringToLife } from './live.ts';
import { ProviderAccess } from './provider-access.ts';
import { needsRestart } from './restart.ts';
import type { SharedState } from './shared-state.ts';

export interface CurrentOptions {
  clock: Clock;
  log: Log;
  state: SharedState;
  registry: UpstreamRegistry;
  /** Reads the configuration again. */
  readConfig(): ReadAgain | Promise<ReadAgain>;
  /** Another one is about to take its place. If this throws, it does not. */
  onTake(config: RuntimeConfig): void;
}

export type ReadAgain = { ok: true; config: RuntimeConfig } | { ok: false; problems: string[] };

export type ReloadEnd = { ok: true } | { ok: false; problems: string[] };

/** A configuration that could be taken over; nothing has changed yet. `take` throws only a mistake of ours, and then nothing has changed either. */
export type Prepared = { ok: true; take(): void } | { ok: false; problems: string[] };

/** The configuration that is at work, what was made of it, and how another one takes its place. */
export class Current {
  readonly #options: CurrentOptions;
  readonly #access = new ProviderAccess();
  /** Of every configuration so far: a request under way may still use a key that has gone from the file. */
  readonly #secrets: Set<string>;
  #config: RuntimeConfig;
  #live: Live;
  #redact: Redact;
  #reloading: Promise<ReloadEnd> = Promise.resolve({ ok: true });

  constructor(config: RuntimeConfig, options: CurrentOptions) {
    this.#options = options;
    this.#config = config;
    this.#secrets = new Set(config.secrets);
    this.#redact = makeRedact(config.secrets);
    this.#live = this.#bringToLife(config);
  }

  get config(): RuntimeConfig {
    return this.#config;
  }

  get live(): Live {
    return this.#live;
  }

  get redact(): Redact {
    return this.#redact;
  }

  /** Brings in what takes time. Rejects with a message for the operator. */
  async begin(): Promise<void> {
    await this.#access.prepare(this.#config);
  }

  /** Takes over the configuration as it now is in the file: whole, or not at all. One after the other, however many ask. */
  reload(): Promise<ReloadEnd> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async #reload(): Promise<ReloadEnd> {
    const { log, readConfig } = this.#options;
    try {
      const read = await readConfig();
      const prepared = read.ok ? await this.prepare(read.config) : read;
      if (!read.ok || !prepared.ok) {
        const problems = prepared.ok ? [] : prepared.problems;
        log.error({ problems }, 'the configuration was not reloaded: the running one stays');
        return { ok: false, problems };
      }
      prepared.take();
      const { models, providers } = read.config;
      log.info({ models: models.size, providers: providers.size }, 'reloaded');
      return { ok: true };
    } catch (error) {
      // The file could not be tried, or its check let something through: nothing of it has been taken over.
      log.error({ err: error }, 'the configuration was not reloaded: the running one stays');
      return { ok: false, problems: [cannotBeRun(error)] };
    }
  }

  /** Finds out all that could stand against a configuration, and brings in what it needs. */
  async prepare(config: RuntimeConfig): Promise<Prepared> {
    const problems = needsRestart(config, this.#config);
    if (problems.length > 0) return { ok: false, problems };
    try {
      await this.#access.prepare(config);
    } catch (error) {
      return { ok: false, problems: [cannotBeRun(error)] };
    }
    return { ok: true, take: () => this.#take(config) };
  }

  #take(config: RuntimeConfig): void {
    const live = this.#bringToLife(config);
    this.#options.onTake(config);
    for (const secret of config.secrets) this.#secrets.add(secret);
    this.#redact = makeRedact([...this.#secrets]);
    this.#config = config;
    this.#live = live;
  }

  #bringToLife(config: RuntimeConfig): Live {
    const { registry, state, clock } = this.#options;
    const { tenants } = config;
    return bringToLife(config, {
      registry,
      credentials: this.#access.credentials(config),
      limiters: this.#limiters(config),
      keyring:
        config.auth === 'keys' ? new HashedKeyring(tenants, state.directory) : new OpenKeyring(tenants),
      loadedAt: Math.floor(clock.wall() / 1000),
      isStillDirect: (name) => this.#config.directModel(name) !== null,
    });
  }

  #limiters({ providers }: RuntimeConfig): Map<string, ProviderLimiter> {
    const { clock, state } = this.#options;
    const limiters = new Map<string, ProviderLimiter>();
    for (const { id, limits } of providers.values()) {
      if (limits === null) continue;
      limiters.set(id, new ProviderLimiter(state.store, { provider: id, limits, clock }));
    }
    return limiters;
  }
}

function cannotBeRun(error: unknown): string {
  return `it cannot be run: ${(error as Error).message}`;
}
