import type { FastifyInstance } from 'fastify';
import type { Log } from '../accounting/log.ts';
import { Metrics } from '../accounting/metrics.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import type { MediaOptions } from '../media/media.ts';
import { type EventLoop, systemLoop } from '../overload/event-loop.ts';
import { DetachedWork } from '../pipeline/detached-work.ts';
import { closeUnbegun, refuseRequest, serve } from '../pipeline/serve.ts';
import type { Services } from '../pipeline/services.ts';
import { adminListener } from '../server/admin.ts';
import { ClientListener } from '../server/client.ts';
import { type ListenerLimits, USUAL_LIMITS } from '../server/limits.ts';
import { TenantAdmin } from '../tenants/admin.ts';
import { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { boundTo, urlOf } from './addresses.ts';
import { Admission, roomForBodies } from './admission.ts';
import { clientHandlers } from './client-handlers.ts';
import { Current, type Prepared, type ReadAgain, type ReloadEnd } from './current.ts';
import { fileSettings } from './file-settings.ts';
import { newIds } from './ids.ts';
import { appOperations, type Operations } from './operations.ts';
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
  /** Bytes of bodies that are held at once at most, of requests and of answers not taken yet; by the memory that there is unless said. */
  bodyBytes?: number;
  /** One of several processes behind one port: operators talk to another one, and what needs one place and has none is refused. */
  isWorker?: boolean;
}

/** After the drain timeout: how long clients have to take the last bytes, the word that their stream was cut. Milliseconds. */
const LAST_BYTES = 500;

/** The one place that sees every part: puts them together, opens them to the world, and ends them. */
export class App {
  readonly #options: AppOptions;
  readonly #newId = newIds();
  readonly #detached = new DetachedWork();
  readonly #draining = new Cancellation();
  readonly #metrics: Metrics;
  readonly #state: SharedState;
  readonly #registry: UpstreamRegistry;
  readonly #tenants: TenantAdmin;
  readonly #current: Current;
  readonly #services: Services;
  readonly #admission: Admission;
  readonly #client: ClientListener;
  /** What operators ask of it, or another process for them. */
  readonly operations: Operations;
  /** Null: operators talk to another process. */
  readonly #admin: FastifyInstance | null;
  #listening = false;

  constructor(options: AppOptions) {
    const { config, isWorker = false } = options;
    this.#options = options;
    this.#metrics = this.#makeMetrics();
    this.#state = openSharedState(config, { ...options, isWorker });
    this.#registry = this.#makeRegistry();
    this.#tenants = this.#makeTenants();
    this.#current = this.#makeCurrent();
    this.#services = this.#makeServices();
    this.#admission = this.#makeAdmission();
    this.#client = this.#makeClientListener();
    this.operations = this.#makeOperations();
    this.#admin = isWorker ? null : adminListener(this.operations, this.#newId);
  }

  #makeMetrics(): Metrics {
    return new Metrics({
      inFlight: () => this.#inFlight(),
      breakers: () => this.#breakers(),
      stateStoreUp: () => this.#state.isUp(),
      waiting: () => this.#admission.waiting,
      connections: () => this.#registry.connections(),
      bodyBytes: () => this.#admission.bodyBytes,
      answerBytes: () => this.#admission.answerBytes,
    });
  }

  #makeRegistry(): UpstreamRegistry {
    const { clock, chance, environment } = this.#options;
    return new UpstreamRegistry({
      clock,
      chance,
      environment,
      board: this.#state.board,
      onTransition: (upstream, to, why) => this.#breakerChanged(upstream, to, why),
    });
  }

  #makeTenants(): TenantAdmin {
    const { config, fileName, log } = this.#options;
    return new TenantAdmin({
      directory: this.#state.directory,
      fileName,
      file: fileSettings(config),
      onChange: ({ action, ...change }) => log.info(change, action),
    });
  }

  #makeCurrent(): Current {
    const { config, clock, log, readConfig } = this.#options;
    return new Current(config, {
      clock,
      log,
      state: this.#state,
      registry: this.#registry,
      readConfig,
      onTake: (config) => this.#configurationChanges(config),
    });
  }

  #makeServices(): Services {
    const { clock, chance, log, media } = this.#options;
    return requestServices({
      clock,
      chance,
      log,
      metrics: this.#metrics,
      state: this.#state,
      media,
      detached: this.#detached,
      draining: this.#draining,
      newId: this.#newId,
      current: this.#current,
    });
  }

  #makeAdmission(): Admission {
    const { config, clock, chance, log, loop = systemLoop, bodyBytes } = this.#options;
    return new Admission({
      loop,
      clock,
      chance,
      log,
      metrics: this.#metrics,
      settings: () => this.#current.config.server,
      bodyBytes: bodyBytes ?? roomForBodies(config.server.workers),
      begin: (exchange) => {
        serve(exchange, exchange.live ?? this.#current.live, this.#services).catch(this.#failed);
      },
      gone: (exchange) => closeUnbegun(exchange, this.#services),
      refuse: (exchange, error, isAddedUp) => refuseRequest(exchange, this.#services, error, isAddedUp),
      answerCut: (tenant, reason) => this.#services.book.answerCut(tenant, reason),
      inFlight: () => this.#client.inFlight,
      inFlightByTenant: () => this.#client.inFlightByTenant(),
    });
  }

  #makeClientListener(): ClientListener {
    const { config, clock, limits = USUAL_LIMITS } = this.#options;
    const handlers = clientHandlers({
      admission: this.#admission,
      services: this.#services,
      metrics: this.#metrics,
      current: this.#current,
      failed: this.#failed,
    });
    return new ClientListener({ handlers, settings: config.server, clock, newId: this.#newId, limits });
  }

  #makeOperations(): Operations {
    return appOperations({
      current: this.#current,
      clock: this.#options.clock,
      metrics: this.#metrics,
      book: this.#services.book,
      state: this.#state,
      registry: this.#registry,
      tenants: this.#tenants,
      notReady: () => this.#notReady(),
      failed: this.#failed,
    });
  }

  /** Opens both listeners; resolves to their URLs with the real ports. */
  async listen(): Promise<{ listen: string; admin: string }> {
    const { admin } = this.#current.config;
    await this.#begin();
    this.#mayListen();
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
    await this.#current.begin();
    await this.#state.start();
  }

  /** Throws if it was told to end meanwhile: its listeners have been closed, and would be open again. */
  #mayListen(): void {
    if (this.#isDraining) throw new Error('it was told to end before it listened');
  }

  async #listenToClients(): Promise<string> {
    const { listen, server } = this.#current.config;
    this.#mayListen();
    await this.#client.fastify.listen(boundTo(listen));
    this.#admission.start();
    this.#listening = true;
    return urlOf(this.#client.fastify, listen, server.tls === null ? 'http' : 'https');
  }

  /** Takes over the configuration as it now is in the file: whole, or not at all. */
  reload(): Promise<ReloadEnd> {
    return this.#current.reload();
  }

  /** Finds out all that could stand against a configuration, and brings in what it needs. */
  prepare(config: RuntimeConfig): Promise<Prepared> {
    return this.#current.prepare(config);
  }

  /** Another configuration is about to be at work. */
  #configurationChanges(config: RuntimeConfig): void {
    if (config.server.tls !== null) this.#client.useCertificate(config.server.tls);
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
    let timer = clock.schedule(this.#current.config.server.drainTimeout, () => {
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

  get #isDraining(): boolean {
    return this.#draining.reason !== null;
  }

  /** Requests under way, with those whose clients have gone. */
  #inFlight(): number {
    return this.#client.inFlight + this.#detached.count;
  }

  #notReady(): string | null {
    if (this.#isDraining) return 'draining';
    if (!this.#listening) return 'not listening yet';
    const isNeeded = this.#current.config.state.onOutage === 'deny';
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

  readonly #failed = (error: unknown): void => {
    this.#options.log.error({ err: error }, 'a mistake of the gateway');
  };
}
