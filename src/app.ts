import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { Book } from './accounting/book.ts';
import type { Log } from './accounting/log.ts';
import { Metrics, UpstreamSeries } from './accounting/metrics.ts';
import { HashedKeyring, OpenKeyring } from './auth/keyring.ts';
import type { RuntimeConfig } from './config/runtime.ts';
import type { Chance, Clock } from './core/clock.ts';
import { ApiError } from './core/errors.ts';
import { type Failure, isClientsFault } from './core/outcome.ts';
import { makeRedact, type Redact } from './core/redact.ts';
import { authenticate } from './pipeline/authenticate.ts';
import { chat, refuseRequest, type Services } from './pipeline/chat.ts';
import type { Exchange } from './pipeline/exchange.ts';
import type { Live, LiveModel } from './pipeline/live.ts';
import { models, usage } from './pipeline/models.ts';
import { concernsOperator } from './pipeline/verdict.ts';
import { mapTree, targetsOf } from './routing/map-tree.ts';
import { adminListener, type UpstreamStatus } from './server/admin.ts';
import { type ClientListener, clientListener } from './server/client.ts';
import { type ListenerLimits, USUAL_LIMITS } from './server/limits.ts';
import type { Address } from './server/settings.ts';
import { UpstreamRegistry } from './upstream/registry.ts';
import type { Upstream } from './upstream/upstream.ts';
import type { CallEvents } from './upstream/visit.ts';

/** What the outside world provides. */
export interface AppOptions {
  config: RuntimeConfig;
  /** Reads the configuration again, for a reload. */
  readConfig(): { ok: true; config: RuntimeConfig } | { ok: false; problems: string[] };
  log: Log;
  clock: Clock;
  chance: Chance;
  environment: NodeJS.ProcessEnv;
  /** How long clients may take; the usual unless said. */
  limits?: ListenerLimits;
}

/** After the drain timeout: how long clients have to take the last bytes, the word that their stream was cut. Milliseconds. */
const LAST_BYTES = 500;

/** The one place that sees every part: puts them together, and swaps the configuration under them. */
export class App {
  readonly #options: AppOptions;
  readonly #metrics: Metrics;
  readonly #registry: UpstreamRegistry;
  readonly #services: Services;
  readonly #client: ClientListener;
  readonly #admin: FastifyInstance;
  #config: RuntimeConfig;
  #live: Live;
  /** Of every configuration so far: a request under way may still use a key that has gone from the file. */
  readonly #secrets: Set<string>;
  #redact: Redact;
  #listening = false;
  #draining = false;

  constructor(options: AppOptions) {
    const { config, clock, chance, log } = options;
    this.#options = options;
    this.#config = config;
    this.#secrets = new Set(config.secrets);
    this.#redact = makeRedact(config.secrets);
    this.#metrics = new Metrics({
      inFlight: () => this.#client.inFlight(),
      breakers: () => this.#breakers(),
      stateStoreUp: () => true,
    });
    this.#registry = new UpstreamRegistry({
      clock,
      chance,
      environment: options.environment,
      onTransition: (upstream, to, why) => this.#breakerChanged(upstream, to, why),
    });
    this.#live = this.#bringToLife(config);
    const newId = idMaker();
    this.#services = {
      clock,
      chance,
      redact: (text) => this.#redact(text),
      book: new Book(this.#metrics, clock, log),
      events: this.#callEvents(),
      newId,
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
    await this.#admin.listen(boundTo(admin.listen));
    await this.#client.fastify.listen(boundTo(listen));
    this.#listening = true;
    return {
      listen: urlOf(this.#client.fastify, listen, server.tls === null ? 'http' : 'https'),
      admin: urlOf(this.#admin, admin.listen, 'http'),
    };
  }

  /** Takes over the configuration as it now is in the file: whole, or not at all. */
  reload(): { ok: true } | { ok: false; problems: string[] } {
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
    log.setLevel(config.log.level);
    log.info({ models: config.models.size, providers: config.providers.size }, 'reloaded');
    return { ok: true };
  }

  /** No new requests; those under way may end within the drain timeout, then they are cut off. */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const { clock, log } = this.#options;
    log.info({ in_flight: this.#client.inFlight() }, 'draining');
    const closed = this.#client.drain();
    let timer = clock.schedule(this.#config.server.drainTimeout, () => {
      log.warn({ in_flight: this.#client.inFlight() }, 'the drain timeout is over: cutting off what is left');
      this.#client.cancelAll();
      timer = clock.schedule(LAST_BYTES, () => this.#client.destroyAll());
    });
    await closed;
    timer.cancel();
    await this.destroy();
  }

  /** Ends everything at once. */
  async destroy(): Promise<void> {
    this.#client.destroyAll();
    await Promise.all([this.#client.fastify.close(), this.#admin.close(), this.#registry.destroy()]);
  }

  /** From a configuration to what requests are served with. Throws nothing that the configuration could be blamed for: it has been checked. */
  #bringToLife(config: RuntimeConfig): Live {
    const entries = [...config.models];
    const targets = this.#registry.load(
      config.providers,
      entries.flatMap(([, { tree }]) => [...targetsOf(tree)]),
    );
    const callable = (settings: Parameters<typeof targets.get>[0]) => {
      const target = targets.get(settings);
      if (target === undefined) throw new Error(`target ${settings.id} was not loaded`);
      return target;
    };
    const live = entries.map(([name, entry]): [string, LiveModel] => [
      name,
      { name: entry.name, label: name, tree: mapTree(entry.tree, callable) },
    ]);
    return {
      loadedAt: Math.floor(this.#options.clock.wall() / 1000),
      keyring: config.auth === 'keys' ? new HashedKeyring(config.tenants) : new OpenKeyring(config.tenants),
      models: new Map(live),
      isDirect: (name) => config.directModel(name) !== null,
      direct: (name) => {
        const entry = config.directModel(name);
        // A request that began before a reload may ask for a provider that has gone with it.
        if (entry === null || this.#config.directModel(name) === null) return null;
        const tree = mapTree(entry.tree, (settings) => this.#registry.direct(settings));
        return { name, label: `${name.split('/')[0]}/*`, tree };
      },
      forwardHeaders: config.server.forwardHeaders,
      heartbeat: config.server.heartbeat,
      logBodies: config.log.requestBodies,
    };
  }

  /** What a running process cannot change. */
  #needsRestart(config: RuntimeConfig): string[] {
    const running = this.#config;
    const changed = [
      ['listen', sameAddress(config.listen, running.listen)],
      ['admin.listen', sameAddress(config.admin.listen, running.admin.listen)],
      ['server.max_body', config.server.maxBody === running.server.maxBody],
      ['server.tls (on or off)', (config.server.tls === null) === (running.server.tls === null)],
    ] as const;
    return changed.flatMap(([key, same]) =>
      same ? [] : [`${key} cannot change while running: restart instead`],
    );
  }

  #clientHandlers() {
    const failed = (error: unknown) => this.#failed(error);
    return {
      authenticate: (exchange: Exchange) => {
        try {
          authenticate(exchange, this.#live);
          return null;
        } catch (error) {
          if (error instanceof ApiError) return error;
          throw error;
        }
      },
      chat: (exchange: Exchange) => chat(exchange, exchange.live ?? this.#live, this.#services),
      models: (exchange: Exchange, id: string | null) => models(exchange, exchange.live ?? this.#live, id),
      usage: (exchange: Exchange) => usage(exchange, exchange.live ?? this.#live),
      refuse: (exchange: Exchange, error: ApiError) => refuseRequest(exchange, this.#services, error),
      failed,
    };
  }

  #adminHandlers() {
    return {
      token: () => this.#config.admin.token,
      metrics: async () => ({
        text: await this.#metrics.registry.metrics(),
        contentType: this.#metrics.registry.contentType,
      }),
      notReady: () => (this.#draining ? 'draining' : this.#listening ? null : 'not listening yet'),
      upstreams: () => [...this.#registry.upstreams()].map((upstream) => this.#statusOf(upstream)),
      reload: async () => this.reload(),
      failed: (error: unknown) => this.#failed(error),
    };
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

  #callEvents(): CallEvents {
    const known = new WeakMap<Upstream, UpstreamSeries>();
    const seriesOf = (upstream: Upstream) => {
      let series = known.get(upstream);
      if (series === undefined) {
        series = new UpstreamSeries(this.#metrics, upstream.provider, upstream.modelLabel);
        known.set(upstream, series);
      }
      return series;
    };
    return {
      tried: (upstream, outcome, failure) => {
        seriesOf(upstream).tried(outcome);
        if (failure !== null) this.#logFailure(upstream, failure);
      },
      firstToken: (upstream, ms) => seriesOf(upstream).firstToken.observe(ms / 1000),
      retryDenied: (upstream) => {
        this.#metrics.retriesDenied.with({ upstream: upstream.label }).value++;
      },
      interrupted: (upstream) => seriesOf(upstream).interrupted(),
      dropped: (upstream) => seriesOf(upstream).droppedEvent(),
    };
  }

  /** Why a try failed is for whoever looks into it; that an upstream refuses us is for whoever runs the gateway. */
  #logFailure({ id }: Upstream, failure: Failure): void {
    const { log } = this.#options;
    const { kind, status, message } = failure;
    // What an upstream finds wrong with a prompt may quote it.
    const error = isClientsFault(failure) && !this.#config.log.requestBodies ? undefined : message;
    const fields = { upstream: id, outcome: kind, status, error };
    if (concernsOperator(failure)) log.error(fields, 'upstream refuses us');
    else if (log.writes('debug')) log.debug(fields, 'try failed');
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
