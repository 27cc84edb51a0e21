import type { Dispatcher } from 'undici';
import type { Chance, Clock } from '../core/clock.ts';
import { requestHeaders } from '../providers/openai/request.ts';
import { HOST_PRESETS, type HostName, type HostQuirks } from '../providers/presets.ts';
import type { ProviderSettings } from '../providers/settings.ts';
import type { TargetSettings } from '../routing/target.ts';
import { type PoolOptions, Pools } from './pools.ts';
import { type Guard, type OnTransition, ProviderKey, Upstream } from './upstream.ts';

/** One key's way to a target. */
export interface Lane {
  upstream: Upstream;
  guard: Guard;
  /** The headers of every call, ready to send. */
  headers: readonly string[];
}

/** A target, ready to be called: what `TargetSettings` says, with the upstreams behind it. */
export interface Target {
  settings: TargetSettings;
  lanes: readonly Lane[];
  /** Where the next request begins in the pool of keys. */
  nextLane: number;
  dispatcher: Dispatcher;
  origin: string;
  path: string;
  quirks: HostQuirks;
}

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
  readonly #pools: Pools;
  #providers: ReadonlyMap<string, ProviderSettings> = new Map();
  #keys = new Map<string, ProviderKey>();
  #upstreams = new Map<string, Upstream>();
  #direct = new Map<string, Target>();

  constructor(options: {
    clock: Clock;
    chance: Chance;
    onTransition: OnTransition;
    environment: NodeJS.ProcessEnv;
  }) {
    this.#clock = options.clock;
    this.#chance = options.chance;
    this.#onTransition = options.onTransition;
    this.#pools = new Pools(options.environment);
  }

  /**
   * Takes over a configuration: makes every target callable, keeps what is known, forgets what is gone. Requests under way keep
   * what they began with.
   */
  load(
    providers: ReadonlyMap<string, ProviderSettings>,
    targets: Iterable<TargetSettings>,
  ): Map<TargetSettings, Target> {
    const before = { upstreams: this.#upstreams, keys: this.#keys, providers: this.#providers };
    this.#upstreams = new Map();
    this.#keys = new Map();
    this.#providers = providers;
    this.#direct.clear();
    for (const [identity, key] of before.keys) if (this.#isKnownKey(identity)) this.#keys.set(identity, key);
    const callable = new Map<TargetSettings, Target>();
    const pools: PoolOptions[] = [];
    for (const settings of targets) {
      callable.set(settings, this.#open(settings, settings.model, before.upstreams, pools));
    }
    this.#pools.keepOnly(pools);
    return callable;
  }

  /** A target that no tree names. Its model does not become a label of its own. */
  direct(settings: TargetSettings): Target {
    let target = this.#direct.get(settings.id);
    if (target === undefined) {
      if (this.#direct.size >= MAX_DIRECT_TARGETS) this.#dropIdle();
      target = this.#open(settings, '*', this.#upstreams, []);
      this.#direct.set(settings.id, target);
    }
    return target;
  }

  upstreams(): Iterable<Upstream> {
    return this.#upstreams.values();
  }

  /** Ends every socket at once. */
  destroy(): Promise<void> {
    return this.#pools.destroy();
  }

  #open(
    settings: TargetSettings,
    modelLabel: string,
    known: ReadonlyMap<string, Upstream>,
    pools: PoolOptions[],
  ): Target {
    const provider = this.#providers.get(settings.provider);
    if (provider === undefined) throw new Error(`no provider ${settings.provider}`);
    const url = new URL(`${provider.baseUrl}/chat/completions`);
    const pool: PoolOptions = {
      origin: url.origin,
      connections: provider.connections,
      connectTimeout: settings.timeouts.connect,
      ca: provider.ca,
      proxy: provider.proxy,
    };
    pools.push(pool);
    const lanes = provider.apiKeys.map((secret, index) => {
      const upstream = this.#upstream(provider, settings.model, secret, index + 1, modelLabel, known);
      const guard = upstream.guard(settings.breaker, settings.retry.budget);
      return { upstream, guard, headers: requestHeaders(secret, provider.headers) };
    });
    return {
      settings,
      lanes,
      nextLane: 0,
      dispatcher: this.#pools.get(pool),
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      quirks: HOST_PRESETS[provider.adapter as HostName].quirks,
    };
  }

  #upstream(
    provider: ProviderSettings,
    model: string,
    secret: string | null,
    number: number,
    modelLabel: string,
    known: ReadonlyMap<string, Upstream>,
  ): Upstream {
    const keyIdentity = identityOfKey(provider, secret, number);
    let key = this.#keys.get(keyIdentity);
    if (key === undefined) {
      key = new ProviderKey(number, secret);
      this.#keys.set(keyIdentity, key);
    }
    const identity = `${keyIdentity} ${model}`;
    const upstream =
      this.#upstreams.get(identity) ??
      known.get(identity) ??
      new Upstream(
        { provider: provider.id, model, key, modelLabel },
        this.#clock,
        this.#chance,
        this.#onTransition,
      );
    this.#upstreams.set(identity, upstream);
    return upstream;
  }

  #isKnownKey(identity: string): boolean {
    for (const provider of this.#providers.values()) {
      if (provider.apiKeys.some((secret, index) => identityOfKey(provider, secret, index + 1) === identity))
        return true;
    }
    return false;
  }

  #dropIdle(): void {
    for (const [id, target] of this.#direct) {
      if (target.lanes.some(({ upstream }) => upstream.inFlight > 0)) continue;
      this.#direct.delete(id);
      for (const [identity, upstream] of this.#upstreams) {
        if (target.lanes.some((lane) => lane.upstream === upstream) && upstream.modelLabel === '*') {
          this.#upstreams.delete(identity);
        }
      }
      return;
    }
  }
}

/** What makes a key another one: then nothing that was learnt of the old one holds. Stays in memory. */
function identityOfKey(provider: ProviderSettings, secret: string | null, number: number): string {
  return JSON.stringify([provider.id, provider.baseUrl, secret, number]);
}
