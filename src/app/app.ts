import type { FastifyInstance } from 'fastify';
import type { Log } from '../accounting/log.ts';
import { Metrics } from '../accounting/metrics.ts';
import { HashedKeyring, OpenKeyring } from '../auth/keyring.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { makeRedact, type Redact } from '../core/redact.ts';
import type { MediaOptions } from '../media/media.ts';
import { type EventLoop, systemLoop } from '../overload/event-loop.ts';
import { DetachedWork } from '../pipeline/detached-work.ts';
import type { Live } from '../pipeline/live.ts';
import { refuseRequest, serve } from '../pipeline/serve.ts';
import type { Services } from '../pipeline/services.ts';
import { adminListener } from '../server/admin.ts';
import { type ClientListener, clientListener } from '../server/client.ts';
import { type ListenerLimits, USUAL_LIMITS } from '../server/limits.ts';
import { TenantAdmin } from '../tenants/admin.ts';
import { ProviderLimiter } from '../upstream/provider-limits.ts';
import { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { boundTo, urlOf } from './addresses.ts';
import { Admission, roomForBodies } from './admission.ts';
import { clientHandlers } from './client-handlers.ts';
import { fileSettings } from './file-settings.ts';
import { newIds } from './ids.ts';
import { bringToLife } from './live.ts';
import { appOperations, type Operations } from './operations.ts';
import { ProviderAccess } from './provider-access.ts';
import { needsRestart } from './restart.ts';
import { requestServices } from './services.ts';
import { openSharedState, type SharedState } from './shared-state.ts';

/** What the outside world provides. */
export interface AppOptions {
  config: RuntimeConfig;
  /** Where it stands, for people. */
  fileName: string;
  /** Reads the configuration again, for a reload. */
  readConfig(): ReadAgain | Promise<ReadAgain>;
  log: Log;
  clock: Clock;
  chance: Chance;
  environment: NodeJS.ProcessEnv;
  /** How long clients may take; the usual unless said. */
  limits?: ListenerLimits;
  /** How what clients name by URL is fetched; the usual unless said. */
  media?: MediaOptions;
  /** The loop whose delay says how busy the process is; Node's unless said. */
  loop?: EventLoop;
  /** Bytes of request bodies that are held at once at most; by the memory that there is unless said. */
  bodyBytes?: number;
  /** One of several processes behind one port: operators talk to another one, and what needs one place and has none is refused. */
  isWorker?: boolean;
}

type ReadAgain = { ok: true; config: RuntimeConfig } | { ok: false; problems: string[] };

export type ReloadEnd = { ok: true } | { ok: false; problems: string[] };

/** A configuration that could be taken over; nothing has changed yet. `take` throws only a mistake of ours, and then nothing has changed either. */
export type Prepared = { ok: true; take(): void } | { ok: false; problems: string[] };

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
  readonly #admission: Admission;
  readonly #client: ClientListener;
  /** What operators ask of it, or another process for them. */
  readonly operations: Operations;
  /** Null: operators talk to another process. */
  readonly #admin: FastifyInstance | null;
  #config: RuntimeConfig;
  #live: Live;
  /** Of every configuration so far: a request under way may still use a key that has gone from the file. */
  readonly #secrets: Set<string>;
  #redact: Redact;
  #reloading: Promise<ReloadEnd> = Promise.resolve({ ok: true });
  #listening = false;

  constructor(options: AppOptions) {
    const { config, clock, chance, log, isWorker = false } = options;
    this.#options = options;
    this.#config = config;
    this.#secrets = new Set(config.secrets);
    this.#redact = makeRedact(config.secrets);
    this.#metrics = new Metrics({
      inFlight: () => this.#inFlight(),
      breakers: () => this.#breakers(),
      stateStoreUp: () => this.#state.isUp(),
      waiting: () => this.#admission.waiting,
      connections: () => this.#registry.connections(),
      bodyBytes: () => this.#admission.bodyBytes,
    });
    this.#state = openSharedState(config, { clock, chance, log, isWorker });
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
    const newId = newIds();
    const failed = (error: unknown) => this.#failed(error);
    this.#services = requestServices({
      clock,
      chance,
      log,
      metrics: this.#metrics,
      state: this.#state,
      media: options.media,
      detached: this.#detached,
      draining: this.#draining,
      newId,
      keyring: () => this.#live.keyring,
      redact: (text) => this.#redact(text),
      logsBodies: () => this.#config.log.requestBodies,
    });
    this.#admission = new Admission({
      loop: options.loop ?? systemLoop,
      clock,
      chance,
      log,
      metrics: this.#metrics,
      settings: () => this.#config.server,
      bodyBytes: options.bodyBytes ?? roomForBodies(config.server.workers),
      begin: (exchange) => {
        serve(exchange, exchange.live ?? this.#live, this.#services).catch(failed);
      },
      refuse: (exchange, error, isAddedUp) => refuseRequest(exchange, this.#services, error, isAddedUp),
      inFlight: () => this.#client.inFlight(),
      inFlightByTenant: () => this.#client.inFlightByTenant(),
    });
    const { limits = USUAL_LIMITS } = options;
    const handlers = clientHandlers({
      admission: this.#admission,
      services: this.#services,
      metrics: this.#metrics,
      live: () => this.#live,
      failed,
    });
    this.#client = clientListener(() => this.#config.server, handlers, { clock, newId, limits });
    this.operations = appOperations({
      config: () => this.#config,
      clock,
      metrics: this.#metrics,
      book: this.#services.book,
      state: this.#state,
      registry: this.#registry,
      tenants: this.#tenants,
      notReady: () => this.#notReady(),
      reload: () => this.reload(),
      failed,
    });
    this.#admin = isWorker ? null : adminListener(this.operations, newId);
  }

  /** Opens both listeners; resolves to their URLs with the real ports. */
  async listen(): Promise<{ listen: string; admin: string }> {
    const { admin } = this.#config;
    await this.#begin();
    await this.#admin?.listen(boundTo(admin.listen));
    const listen = await this.#listenToClients();
    return { listen, admin: this.#admin === null ? '' : urlOf(this.#admin, admin.listen, 'http') };
  }

  /** Of a worker: opens the listener for clients, and resolves to its URL. */
  async listenToClients(): Promise<string> {
    await this.#begin();
    return await this.#listenToClients();
  }

  async #begin(): Promise<void> {
    await this.#access.prepare(this.#config);
    await this.#state.start();
  }

  async #listenToClients(): Promise<string> {
    const { listen, server } = this.#config;
    await this.#client.fastify.listen(boundTo(listen));
    this.#admission.start();
    this.#listening = true;
    return urlOf(this.#client.fastify, listen, server.tls === null ? 'http' : 'https');
  }

  /** Takes over the configuration as it now is in the file: whole, or not at all. One after the other, however many ask. */
  reload(): Promise<ReloadEnd> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async #reload(): Promise<ReloadEnd> {
    const { log, readConfig } = this.#options;
    const read = await readConfig();
    const prepared = read.ok ? await this.prepare(read.config) : read;
    if (!read.ok || !prepared.ok) {
      const problems = prepared.ok ? [] : prepared.problems;
      log.error({ problems }, 'the configuration was not reloaded: the running one stays');
      return { ok: false, problems };
    }
    try {
      prepared.take();
    } catch (error) {
      // What the check of the file let through: nothing of it has been taken over.
      log.error({ err: error }, 'the configuration was not reloaded: the running one stays');
      return { ok: false, problems: [cannotBeRun(error)] };
    }
    const { models, providers } = read.config;
    log.info({ models: models.size, providers: providers.size }, 'reloaded');
    return { ok: true };
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
    if (config.server.tls !== null && 'setSecureContext' in this.#client.fastify.server) {
      (this.#client.fastify.server as import('node:https').Server).setSecureContext(config.server.tls);
    }
    for (const secret of config.secrets) this.#secrets.add(secret);
    this.#redact = makeRedact([...this.#secrets]);
    this.#config = config;
    this.#live = live;
    this.#tenants.setFile(fileSettings(config));
    this.#options.log.setLevel(config.log.level);
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
    this.#admission.stop();
    this.#detached.cancelAll();
    await Promise.all([this.#client.fastify.close(), this.#admin?.close(), this.#registry.destroy()]);
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

  #notReady(): string | null {
    if (this.#isDraining) return 'draining';
    if (!this.#listening) return 'not listening yet';
    const isNeeded = this.#config.state.onOutage === 'deny';
    return isNeeded && !this.#state.isUp() ? 'the store of shared state is away' : null;
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

function cannotBeRun(error: unknown): string {
  return `it cannot be run: ${(error as Error).message}`;
}
