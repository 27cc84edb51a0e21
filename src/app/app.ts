import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { Book } from '../accounting/book.ts';
import type { Log } from '../accounting/log.ts';
import { Metrics } from '../accounting/metrics.ts';
import { HashedKeyring, OpenKeyring } from '../auth/keyring.ts';
import { ReasoningMemory } from '../chat/reasoning-memory.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { ApiError } from '../core/errors.ts';
import { makeRedact, type Redact } from '../core/redact.ts';
import { MediaFetcher, type MediaOptions } from '../media/media.ts';
import { authenticate } from '../pipeline/authenticate.ts';
import { DetachedWork } from '../pipeline/detached-work.ts';
import { Estimator } from '../pipeline/estimate.ts';
import type { Exchange } from '../pipeline/exchange.ts';
import type { Live } from '../pipeline/live.ts';
import { models } from '../pipeline/models.ts';
import { remove, resume } from '../pipeline/resume.ts';
import { refuseRequest, serve } from '../pipeline/serve.ts';
import type { Services } from '../pipeline/services.ts';
import { usage } from '../pipeline/usage.ts';
import { type UsageQuery, usageReport } from '../pipeline/usage-report.ts';
import { labelOf } from '../quota/limits.ts';
import { Hedges } from '../routing/hedge.ts';
import { adminListener, type UpstreamStatus } from '../server/admin.ts';
import { type ClientListener, clientListener } from '../server/client.ts';
import { type ListenerLimits, USUAL_LIMITS } from '../server/limits.ts';
import type { Address } from '../server/settings.ts';
import { type FileSettings, TenantAdmin } from '../tenants/admin.ts';
import { ProviderLimiter } from '../upstream/provider-limits.ts';
import { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { callEvents } from './call-events.ts';
import { bringToLife } from './live.ts';
import { ProviderAccess } from './provider-access.ts';
import { openSharedState, type SharedState } from './shared-state.ts';

/** What the outside world provides. */
export interface AppOptions {
  config: RuntimeConfig;
  /** Where it stands, for people. */
  fileName: string;
  /** Reads the configuration again, for a reload. */
  readConfig(): { ok: true; config: RuntimeConfig } | { ok: false; problems: string[] };
  log: Log;
  clock: Clock;
  chance: Chance;
  environment: NodeJS.ProcessEnv;
  /** How long clients may take; the usual unless said. */
  limits?: ListenerLimits;
  /** How what clients name by URL is fetched; the usual unless said. */
  media?: MediaOptions;
}

export type ReloadEnd = { ok: true } | { ok: false; problems: string[] };

/** After the drain timeout: how long clients have to take the last bytes, the word that their stream was cut. Milliseconds. */
const LAST_BYTES = 500;

/** The one place that sees every part: puts them together, and swaps the configuration under them. */
export class App {
  readonly #options: AppOptions;
  readonly #metrics: Metrics;
  readonly #registry: UpstreamRegistry;
  readonly #state: SharedState;
  readonly #tenants: TenantAdmin;
  readonly #access: ProviderAccess;
  readonly #detached = new DetachedWork();
  readonly #draining = new Cancellation();
  readonly #services: Services;
  readonly #client: ClientListener;
  readonly #admin: FastifyInstance;
  #config: RuntimeConfig;
  #live: Live;
  /** Of every configuration so far: a request under way may still use a key that has gone from the file. */
  readonly #secrets: Set<string>;
  #redact: Redact;
  #reloading: Promise<ReloadEnd> = Promise.resolve({ ok: true });
  #listening = false;

  constructor(options: AppOptions) {
    const { config, clock, chance, log } = options;
    this.#options = options;
    this.#config = config;
    this.#secrets = new Set(config.secrets);
    this.#redact = makeRedact(config.secrets);
    this.#metrics = new Metrics({
      inFlight: () => this.#inFlight(),
      breakers: () => this.#breakers(),
      stateStoreUp: () => this.#state.isUp(),
    });
    this.#state = openSharedState(config, { clock, chance, log });
    this.#registry = new UpstreamRegistry({
      clock,
      chance,
      environment: options.environment,
      board: this.#state.board,
      onTransition: (upstream, to, why) => this.#breakerChanged(upstream, to, why),
    });
    this.#tenants = new TenantAdmin({
      directory: this.#state.directory,
      fileName: options.fileName,
      file: fileSettings(config),
      onChange: ({ action, ...change }) => log.info(change, action),
    });
    this.#access = new ProviderAccess();
    this.#live = this.#bringToLife(config);
    const newId = idMaker();
    this.#services = {
      clock,
      chance,
      redact: (text) => this.#redact(text),
      book: new Book(this.#metrics, clock, log),
      events: callEvents(this.#metrics, log, () => this.#config.log.requestBodies),
      keyring: () => this.#live.keyring,
      newId,
      memory: new ReasoningMemory(clock),
      media: new MediaFetcher(options.media),
      hedges: new Hedges(),
      replay: this.#state.replay,
      detached: this.#detached,
      draining: this.#draining,
      hedged: (model, result) => {
        this.#metrics.hedges.with({ model, result }).value++;
      },
      spending: {
        store: this.#state.store,
        estimator: new Estimator(),
        wall: () => clock.wall(),
        refused: (tenant, limit) => {
          this.#metrics.quotaRefusals.with({ tenant, quota: labelOf(limit) }).value++;
        },
      },
    };
    const { limits = USUAL_LIMITS } = options;
    this.#client = clientListener(() => this.#config.server, this.#clientHandlers(), {
      clock,
      newId,
      limits,
    });
    this.#admin = adminListener(this.#adminHandlers(), newId);
  }

  /** Opens both listeners; resolves to their URLs with the real ports. */
  async listen(): Promise<{ listen: string; admin: string }> {
    const { listen, admin, server } = this.#config;
    await this.#access.prepare(this.#config);
    await this.#state.start();
    await this.#admin.listen(boundTo(admin.listen));
    await this.#client.fastify.listen(boundTo(listen));
    this.#listening = true;
    return {
      listen: urlOf(this.#client.fastify, listen, server.tls === null ? 'http' : 'https'),
      admin: urlOf(this.#admin, admin.listen, 'http'),
    };
  }

  /** Takes over the configuration as it now is in the file: whole, or not at all. One after the other, however many ask. */
  reload(): Promise<ReloadEnd> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async #reload(): Promise<ReloadEnd> {
    const { log, readConfig } = this.#options;
    const read = readConfig();
    const problems = read.ok ? this.#needsRestart(read.config) : read.problems;
    if (!read.ok || problems.length > 0) {
      log.error({ problems }, 'the configuration was not reloaded: the running one stays');
      return { ok: false, problems };
    }
    const { config } = read;
    let live: Live;
    try {
      await this.#access.prepare(config);
      live = this.#bringToLife(config);
    } catch (error) {
      // What the check of the file let through: nothing of it has been taken over.
      log.error({ err: error }, 'the configuration was not reloaded: the running one stays');
      return { ok: false, problems: [`it cannot be run: ${(error as Error).message}`] };
    }
    if (config.server.tls !== null && 'setSecureContext' in this.#client.fastify.server) {
      (this.#client.fastify.server as import('node:https').Server).setSecureContext(config.server.tls);
    }
    for (const secret of config.secrets) this.#secrets.add(secret);
    this.#redact = makeRedact([...this.#secrets]);
    this.#config = config;
    this.#live = live;
    this.#tenants.setFile(fileSettings(config));
    log.setLevel(config.log.level);
    log.info({ models: config.models.size, providers: config.providers.size }, 'reloaded');
    return { ok: true };
  }

  /** No new requests; those under way may end within the drain timeout, then they are cut off. */
  async drain(): Promise<void> {
    if (this.#isDraining) return;
    const { clock, log } = this.#options;
    log.info({ in_flight: this.#inFlight() }, 'draining');
    const closed = this.#client.drain().then(() => this.#detached.over());
    this.#draining.cancel('shutdown');
    let timer = clock.schedule(this.#config.server.drainTimeout, () => {
      log.warn({ in_flight: this.#inFlight() }, 'the drain timeout is over: cutting off what is left');
      this.#client.cancelAll();
      this.#detached.cancelAll();
      timer = clock.schedule(LAST_BYTES, () => this.#client.destroyAll());
    });
    await closed;
    timer.cancel();
    await this.destroy();
  }

  /** Ends everything at once. */
  async destroy(): Promise<void> {
    this.#client.destroyAll();
    this.#detached.cancelAll();
    await Promise.all([this.#client.fastify.close(), this.#admin.close(), this.#registry.destroy()]);
    // Last: what was cut off just now has been settled, too.
    await this.#state.close();
  }

  #bringToLife(config: RuntimeConfig): Live {
    const { tenants } = config;
    return bringToLife(config, {
      registry: this.#registry,
      credentials: this.#access.credentials(config),
      limiters: this.#limiters(config),
      keyring:
        config.auth === 'keys' ? new HashedKeyring(tenants, this.#state.directory) : new OpenKeyring(tenants),
      loadedAt: Math.floor(this.#options.clock.wall() / 1000),
      isStillDirect: (name) => this.#config.directModel(name) !== null,
    });
  }

  #limiters({ providers }: RuntimeConfig): Map<string, ProviderLimiter> {
    const { clock } = this.#options;
    const limiters = new Map<string, ProviderLimiter>();
    for (const { id, limits } of providers.values()) {
      if (limits === null) continue;
      limiters.set(id, new ProviderLimiter(this.#state.store, { provider: id, limits, clock }));
    }
    return limiters;
  }

  get #isDraining(): boolean {
    return this.#draining.reason !== null;
  }

  /** Requests under way, with those whose clients have gone. */
  #inFlight(): number {
    return this.#client.inFlight() + this.#detached.count;
  }

  /** What a running process cannot change. */
  #needsRestart(config: RuntimeConfig): string[] {
    const running = this.#config;
    const changed = [
      ['listen', sameAddress(config.listen, running.listen)],
      ['admin.listen', sameAddress(config.admin.listen, running.admin.listen)],
      ['server.max_body', config.server.maxBody === running.server.maxBody],
      ['state', isDeepStrictEqual(config.state, running.state)],
      ['idempotency.encryption_key', config.idempotency.encryptionKey === running.idempotency.encryptionKey],
      ['quota_defaults.ledger_days', config.quotaDefaults.ledgerDays === running.quotaDefaults.ledgerDays],
      ['server.tls (on or off)', (config.server.tls === null) === (running.server.tls === null)],
    ] as const;
    return changed.flatMap(([key, same]) =>
      same ? [] : [`${key} cannot change while running: restart instead`],
    );
  }

  #clientHandlers() {
    const failed = (error: unknown) => this.#failed(error);
    return {
      authenticate: (exchange: Exchange, anyDialect: boolean) => {
        try {
          authenticate(exchange, this.#live, { anyDialect });
          return null;
        } catch (error) {
          if (error instanceof ApiError) return error;
          throw error;
        }
      },
      serve: (exchange: Exchange) => serve(exchange, exchange.live ?? this.#live, this.#services),
      models: (exchange: Exchange, id: string | null) => models(exchange, exchange.live ?? this.#live, id),
      usage: (exchange: Exchange) => usage(exchange, exchange.live ?? this.#live, this.#services.spending),
      resume: (exchange: Exchange, id: string, after: string | readonly string[] | null) =>
        resume(exchange, exchange.live ?? this.#live, { id, after }, this.#streams()),
      removeStream: (exchange: Exchange, id: string) =>
        remove(exchange, exchange.live ?? this.#live, id, this.#streams()),
      refuse: (exchange: Exchange, error: ApiError) => refuseRequest(exchange, this.#services, error),
      failed,
    };
  }

  #streams() {
    const resumed = () => {
      this.#metrics.resumedStreams.value++;
    };
    return { streams: this.#state.replay.streams, clock: this.#options.clock, resumed };
  }

  #adminHandlers() {
    return {
      token: () => this.#config.admin.token,
      metrics: async () => {
        const inFile = new Set(this.#config.tenants.map(({ id }) => id));
        this.#services.book.forgetTenants((id) => inFile.has(id) || this.#state.directory.get(id) !== null);
        const { registry } = this.#metrics;
        return { text: await registry.metrics(), contentType: registry.contentType };
      },
      notReady: () =>
        this.#isDraining ? 'draining' : this.#listening ? this.#storeInTheWay() : 'not listening yet',
      upstreams: () => [...this.#registry.upstreams()].map((upstream) => this.#statusOf(upstream)),
      tenants: () => this.#tenants,
      wall: () => this.#options.clock.wall(),
      usage: (query: UsageQuery) => usageReport(query, this.#state.store),
      reload: () => this.reload(),
      failed: (error: unknown) => this.#failed(error),
    };
  }

  #storeInTheWay(): string | null {
    const { onOutage } = this.#config.state;
    return onOutage === 'deny' && !this.#state.isUp() ? 'the store of shared state is away' : null;
  }

  #statusOf(upstream: Upstream): UpstreamStatus {
    const cooldown = upstream.cooldownLeft();
    const until = new Date(this.#options.clock.wall() + cooldown).toISOString();
    return {
      id: upstream.id,
      provider: upstream.provider,
      model: upstream.model,
      breaker: upstream.breakerState,
      opens: upstream.opens,
      cooldown_until: cooldown > 0 ? until : null,
      in_flight: upstream.inFlight,
      last_error: upstream.lastError,
    };
  }

  *#breakers() {
    for (const upstream of this.#registry.upstreams()) {
      // What clients make up is not a label.
      if (upstream.modelLabel !== '*') yield { upstream: upstream.id, state: upstream.breakerState };
    }
  }

  #breakerChanged(upstream: Upstream, to: 'closed' | 'half_open' | 'open', why: string): void {
    this.#metrics.breakerTransitions.with({ upstream: upstream.label, to }).value++;
    this.#options.log.warn({ upstream: upstream.id, breaker: to, why }, 'breaker');
  }

  #failed(error: unknown): void {
    this.#options.log.error({ err: error }, 'a mistake of the gateway');
  }
}

/** Ids that are never given twice: a random beginning for the process, then a count. Shorter to make than random ones. */
function idMaker(): () => string {
  const prefix = randomUUID().replaceAll('-', '').slice(0, 16);
  let count = 0;
  return () => `${prefix}${(count++).toString(36).padStart(7, '0')}`;
}

/** What the admin API must know of the file. */
function fileSettings({ tenants, auth, models, directModel, quotaDefaults }: RuntimeConfig): FileSettings {
  return {
    tenants,
    auth,
    models: { isModel: (name) => models.has(name) || directModel(name) !== null, all: () => models.keys() },
    keyGrace: quotaDefaults.keyGrace,
  };
}

/** For `localhost`, fastify would open a second server beside the one that we know. */
function boundTo({ host, port }: Address): Address {
  return { host: host === 'localhost' ? '127.0.0.1' : host, port };
}

function sameAddress(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port;
}

function urlOf(fastify: FastifyInstance, { host }: Address, scheme: string): string {
  const { port } = fastify.server.address() as AddressInfo;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
