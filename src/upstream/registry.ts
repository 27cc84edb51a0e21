import { type ModelCapabilities, NOTHING_KNOWN } from '../capabilities/capabilities.ts';
import type { Chance, Clock } from '../core/clock.ts';
import type { Credentials } from '../credentials/credentials.ts';
import type { Adapter, Dialect } from '../providers/adapter.ts';
import { ADAPTERS, type AdapterName } from '../providers/adapters.ts';
import type { ProviderSettings } from '../providers/settings.ts';
import type { BreakerBoard } from '../resilience/board.ts';
import type { TargetSettings } from '../routing/target.ts';
import { type PoolOptions, Pools } from './pools.ts';
import type { ProviderLimiter } from './provider-limits.ts';
import type { Sockets } from './sockets.ts';
import { type Guard, type OnTransition, ProviderKey, Upstream } from './upstream.ts';

/** One key's way to a target. */
export interface Lane {
  upstream: Upstream;
  guard: Guard;
  /** The headers of every call: name, value … */
  headers: readonly string[];
  /** What authorizes each call where there is no key. */
  credentials: Credentials | null;
}

/** A target, ready to be called: what `TargetSettings` says, with the upstreams behind it. */
export interface Target {
  settings: TargetSettings;
  lanes: readonly Lane[];
  /** Where the next request begins in the pool of keys. */
  nextLane: number;
  sockets: Sockets;
  origin: string;
  /** What comes before the path of each call; without a slash at its end. */
  basePath: string;
  adapter: Adapter;
  provider: ProviderSettings;
  capabilities: ModelCapabilities;
  /** Dialects of its adapter's that this host turned out not to have. */
  lacks: Set<Dialect>;
  /** Until then, on the clock's time, what is to be streamed is asked for whole. */
  wholeUntil: number;
  /** Holds its provider to its limits; null: there are none. */
  limiter: ProviderLimiter | null;
  /** Somebody chooses by what its provider's headers say is left. */
  readsHeadroom: boolean;
}

/** What is known of the providers and their models beside what the configuration says of each. */
export interface Knowledge {
  capabilities(provider: string, model: string): ModelCapabilities;
  /** Of the providers that are called without a key, by their ids. */
  credentials: ReadonlyMap<string, Credentials>;
  /** Of the providers that have limits, by their ids. */
  limiters: ReadonlyMap<string, ProviderLimiter>;
}

/** For who knows nothing. */
const NO_KNOWLEDGE: Knowledge = {
  capabilities: () => NOTHING_KNOWN,
  credentials: new Map(),
  limiters: new Map(),
};

/** Targets that clients made up (`direct_models`) are kept up to this many; then the oldest that is idle goes. */
const MAX_DIRECT_TARGETS = 1000;

/**
 * All upstreams of the process, with what was learnt of them. A reload hands in the new providers; upstreams, keys and sockets of
 * those that did not change stay as they are.
 */
export class UpstreamRegistry {
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #onTransition: OnTransition;
  readonly #board: BreakerBoard | null;
  readonly #pools: Pools;
  #providers: ReadonlyMap<string, ProviderSettings> = new Map();
  #knowledge: Knowledge = NO_KNOWLEDGE;
  #keys = new Map<string, ProviderKey>();
  #upstreams = new Map<string, Upstream>();
  #direct = new Map<string, Target>();

  constructor(options: {
    clock: Clock;
    chance: Chance;
    onTransition: OnTransition;
    environment: NodeJS.ProcessEnv;
    /** Where breakers are shared with other gateways; left out: nowhere. */
    board?: BreakerBoard | null;
  }) {
    this.#clock = options.clock;
    this.#chance = options.chance;
    this.#onTransition = options.onTransition;
    this.#pools = new Pools(options.environment);
    this.#board = options.board ?? null;
    this.#board?.listen((word) => {
      for (const upstream of this.#upstreams.values()) if (upstream.id === word.id) upstream.hear(word);
    });
  }

  /**
   * Takes over a configuration: makes every target callable, keeps what is known, forgets what is gone. Requests under way keep
   * what they began with. If it throws, nothing has changed.
   */
  load(
    providers: ReadonlyMap<string, ProviderSettings>,
    targets: Iterable<TargetSettings>,
    knowledge: Knowledge,
  ): Map<TargetSettings, Target> {
    const before = {
      upstreams: this.#upstreams,
      keys: this.#keys,
      providers: this.#providers,
      knowledge: this.#knowledge,
    };
    const named = [...before.upstreams.values()].filter(({ modelLabel }) => modelLabel !== '*');
    for (const upstream of named) upstream.renew();
    try {
      this.#knowledge = knowledge;
      return this.#load(providers, targets, before);
    } catch (error) {
      this.#upstreams = before.upstreams;
      this.#keys = before.keys;
      this.#providers = before.providers;
      this.#knowledge = before.knowledge;
      for (const upstream of named) upstream.revert();
      throw error;
    }
  }

  #load(
    providers: ReadonlyMap<string, ProviderSettings>,
    targets: Iterable<TargetSettings>,
    before: { upstreams: ReadonlyMap<string, Upstream>; keys: ReadonlyMap<string, ProviderKey> },
  ): Map<TargetSettings, Target> {
    this.#upstreams = new Map();
    this.#keys = new Map();
    this.#providers = providers;
    const numbers = this.#renewKeys(before.keys);
    const callable = new Map<TargetSettings, Target>();
    const pools: PoolOptions[] = [];
    for (const settings of targets) {
      callable.set(settings, this.#open(settings, settings.model, before.upstreams, pools));
    }
    this.#keepTroubled(before.upstreams);
    this.#direct.clear();
    this.#pools.keepOnly(pools);
    for (const [key, number] of numbers) key.number = number;
    return callable;
  }

  /** The keys of the providers as they are now, old ones with what is known of them; returns each with its place in its pool. */
  #renewKeys(known: ReadonlyMap<string, ProviderKey>): Map<ProviderKey, number> {
    const numbers = new Map<ProviderKey, number>();
    for (const provider of this.#providers.values()) {
      for (const [index, secret] of provider.apiKeys.entries()) {
        const identity = identityOfKey(provider, secret);
        const key = this.#keys.get(identity) ?? known.get(identity) ?? new ProviderKey(index + 1, secret);
        this.#keys.set(identity, key);
        if (!numbers.has(key)) numbers.set(key, index + 1);
      }
    }
    return numbers;
  }

  /** A target that no tree names. Its model does not become a label of its own. */
  direct(settings: TargetSettings): Target {
    const known = this.#direct.get(settings.id);
    if (known === undefined && this.#direct.size >= MAX_DIRECT_TARGETS) this.#dropIdle();
    const target = known ?? this.#open(settings, '*', this.#upstreams, []);
    // The last one used stands last.
    this.#direct.delete(settings.id);
    this.#direct.set(settings.id, target);
    return target;
  }

  upstreams(): Iterable<Upstream> {
    return this.#upstreams.values();
  }

  /** Of each pool of connections, how many are in use, and how many tries wait for one. */
  *connections(): Iterable<{ provider: string; inUse: number; waiting: number }> {
    for (const { provider, sockets } of this.#pools.values())
      yield { provider, inUse: sockets.inUse, waiting: sockets.waiting };
  }

  /** Ends every socket at once. */
  destroy(): Promise<void> {
    return this.#pools.destroy();
  }

  /** Of the upstreams that no tree names, those of which something is known that the next request must heed. */
  #keepTroubled(before: ReadonlyMap<string, Upstream>): void {
    const keys = new Set(this.#keys.values());
    for (const [identity, upstream] of before) {
      if (upstream.modelLabel !== '*' || !isTroubled(upstream) || this.#upstreams.has(identity)) continue;
      if (keys.has(upstream.key)) this.#upstreams.set(identity, upstream);
    }
  }

  #open(
    settings: TargetSettings,
    modelLabel: string,
    known: ReadonlyMap<string, Upstream>,
    pools: PoolOptions[],
  ): Target {
    const provider = this.#providers.get(settings.provider);
    if (provider === undefined) throw new Error(`no provider ${settings.provider}`);
    const { adapter, origin, basePath, keys } = wayTo(provider);
    const options: PoolOptions = {
      provider: provider.id,
      origin,
      connections: provider.connections,
      connectTimeout: settings.timeouts.connect,
      ca: provider.ca,
      proxy: provider.proxy,
    };
    pools.push(options);
    const sockets = this.#pools.get(options);
    const lanes = keys.map(({ secret, headers }) => {
      const upstream = this.#upstream(provider, settings.model, secret, modelLabel, known);
      upstream.pace(provider.adaptive);
      const guard = upstream.guard(settings.breaker, settings.retry.budget);
      const credentials = secret === null ? (this.#knowledge.credentials.get(provider.id) ?? null) : null;
      return { upstream, guard, headers, credentials };
    });
    return {
      settings,
      lanes,
      nextLane: 0,
      sockets,
      origin,
      basePath,
      adapter,
      provider,
      capabilities: capabilitiesOf(settings, this.#knowledge),
      lacks: new Set(),
      wholeUntil: Number.NEGATIVE_INFINITY,
      limiter: this.#knowledge.limiters.get(provider.id) ?? null,
      readsHeadroom: false,
    };
  }

  #upstream(
    provider: ProviderSettings,
    model: string,
    secret: string | null,
    modelLabel: string,
    known: ReadonlyMap<string, Upstream>,
  ): Upstream {
    const keyIdentity = identityOfKey(provider, secret);
    const key = this.#keys.get(keyIdentity);
    if (key === undefined) throw new Error(`provider ${provider.id} has no such key`);
    const identity = identityOf(keyIdentity, model);
    const here = this.#upstreams.get(identity);
    if (here !== undefined) return here;
    const before = known.get(identity);
    // One that clients made up, and that a tree now names, gets a name in metrics: it begins anew.
    const upstream =
      before !== undefined && before.modelLabel === modelLabel
        ? before
        : new Upstream(
            { provider: provider.id, model, key, modelLabel },
            this.#clock,
            this.#chance,
            this.#onTransition,
            this.#board,
          );
    this.#upstreams.set(identity, upstream);
    return upstream;
  }

  /** Makes room: the one not used for longest goes, rather one of which nothing is known that the next request must heed. */
  #dropIdle(): void {
    const target = this.#idlest();
    if (target === null) return;
    const { provider, settings, lanes } = target;
    this.#direct.delete(settings.id);
    for (const [index, { upstream }] of lanes.entries()) {
      const key = identityOfKey(provider, provider.apiKeys[index] ?? null);
      if (upstream.modelLabel === '*') this.#upstreams.delete(identityOf(key, settings.model));
    }
  }

  #idlest(): Target | null {
    let troubled: Target | null = null;
    for (const target of this.#direct.values()) {
      if (target.lanes.some(({ upstream }) => upstream.inFlight > 0)) continue;
      if (!target.lanes.some(({ upstream }) => isTroubled(upstream))) return target;
      troubled ??= target;
    }
    return troubled;
  }
}

/** What the target's own `prefill` says goes before the table. */
function capabilitiesOf(
  { provider, model, prefill }: TargetSettings,
  knowledge: Knowledge,
): ModelCapabilities {
  const known = knowledge.capabilities(provider, model);
  return prefill === null ? known : { ...known, prefill };
}

function isTroubled(upstream: Upstream): boolean {
  return upstream.breakerState !== 'closed' || upstream.cooldownLeft() > 0;
}

/** What makes a key another one: then nothing that was learnt of the old one holds. Its place in the pool does not. Stays in memory. */
function identityOfKey(provider: ProviderSettings, secret: string | null): string {
  return JSON.stringify([provider.id, provider.baseUrl, secret]);
}

/** What makes an upstream another one. */
function identityOf(key: string, model: string): string {
  return `${key} ${model}`;
}

/** What all targets of a provider have in common. */
interface Way {
  adapter: Adapter;
  origin: string;
  basePath: string;
  keys: readonly { secret: string | null; headers: readonly string[] }[];
}

const ways = new WeakMap<ProviderSettings, Way>();

function wayTo(provider: ProviderSettings): Way {
  const known = ways.get(provider);
  if (known !== undefined) return known;
  const { origin, pathname } = new URL(provider.baseUrl);
  const adapter = ADAPTERS[provider.adapter as AdapterName];
  const keys = provider.apiKeys.map((secret) => ({
    secret,
    headers: requestHeaders(adapter, secret, provider.headers),
  }));
  const way = { adapter, origin, basePath: pathname.replace(/\/+$/, ''), keys };
  ways.set(provider, way);
  return way;
}

/** The headers of every call: name, value, name, value … The provider's own `headers` win. */
function requestHeaders(
  adapter: Adapter,
  secret: string | null,
  own: Readonly<Record<string, string>>,
): string[] {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    // A relay that unpacks and packs again gains nothing, and packed streams come in lumps.
    'accept-encoding': 'identity',
    ...(secret === null ? {} : adapter.keyHeaders(secret)),
  };
  return Object.entries({ ...headers, ...own }).flat();
}
