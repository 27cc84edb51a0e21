import type { Keyring } from '../auth/keyring.ts';
import type { ModelEntry, RuntimeConfig } from '../config/runtime.ts';
import type { Json, JsonObject } from '../core/json.ts';
import type { Credentials } from '../credentials/credentials.ts';
import { MAXIMA } from '../pipeline/estimate.ts';
import type { Live, LiveModel } from '../pipeline/live.ts';
import type { ModelPrice } from '../pricing/prices.ts';
import { judgedByHeadroom, mapTree, targetsOf } from '../routing/map-tree.ts';
import type { TargetSettings } from '../routing/target.ts';
import type { ProviderLimiter } from '../upstream/provider-limits.ts';
import type { Target, UpstreamRegistry } from '../upstream/registry.ts';

/** What a configuration is brought to life with. */
export interface LiveParts {
  registry: UpstreamRegistry;
  keyring: Keyring;
  /** Of the providers that are called without a key. */
  credentials: ReadonlyMap<string, Credentials>;
  /** Of the providers that have limits. */
  limiters: ReadonlyMap<string, ProviderLimiter>;
  /** Seconds since 1970. */
  loadedAt: number;
  /** Is this provider's model still to be asked for? A request that began before a reload may name a provider that has gone with it. */
  isStillDirect(name: string): boolean;
}

/** From a configuration to what requests are served with. Throws nothing that the configuration could be blamed for: it has been checked. */
export function bringToLife(config: RuntimeConfig, parts: LiveParts): Live {
  const { registry } = parts;
  const entries = [...config.models];
  const targets = registry.load(
    config.providers,
    entries.flatMap(([, { tree }]) => [...targetsOf(tree)]),
    {
      capabilities: (provider, model) => config.capabilities.find(provider, model),
      credentials: parts.credentials,
      limiters: parts.limiters,
    },
  );
  const callable = (settings: TargetSettings) => {
    const target = targets.get(settings);
    if (target === undefined) throw new Error(`target ${settings.id} was not loaded`);
    return target;
  };
  for (const [, { tree }] of entries) {
    for (const settings of judgedByHeadroom(tree)) callable(settings).readsHeadroom = true;
  }
  const live = entries.map(([name, entry]): [string, LiveModel] => [
    name,
    liveModel(config, entry, name, false, callable),
  ]);
  return {
    loadedAt: parts.loadedAt,
    keyring: parts.keyring,
    models: new Map(live),
    isDirect: (name) => config.directModel(name) !== null,
    direct: (name) => {
      const entry = config.directModel(name);
      if (entry === null || !parts.isStillDirect(name)) return null;
      return liveModel(config, entry, `${name.split('/')[0]}/*`, true, (settings) =>
        registry.direct(settings),
      );
    },
    forwardHeaders: config.server.forwardHeaders,
    heartbeat: config.server.heartbeat,
    logBodies: config.log.requestBodies,
    prices: config.prices,
    idempotency: config.idempotency,
    outputTokens: config.quotaDefaults.outputTokens,
  };
}

function liveModel(
  config: RuntimeConfig,
  { name, tree }: ModelEntry,
  label: string,
  direct: boolean,
  callable: (settings: TargetSettings) => Target,
): LiveModel {
  const settings = [...targetsOf(tree)];
  const prices = new Set<ModelPrice>();
  for (const { provider, model } of settings) {
    const price = config.prices.find(provider, model);
    if (price !== null) prices.add(price);
  }
  return {
    name,
    label,
    tree: mapTree(tree, callable),
    direct,
    prices: [...prices],
    keeps: settings.some(({ cacheTtl }) => cacheTtl !== null),
    longest: Math.max(...settings.map(({ timeouts }) => timeouts.total)),
    overrides: differentMaxima(settings),
  };
}

/** Of the targets' `override_params`, what bears on how long an answer can be. */
function differentMaxima(targets: readonly TargetSettings[]): JsonObject[] {
  const different = new Map<string, JsonObject>();
  for (const { overrideParams } of targets) {
    const maxima: Record<string, Json> = {};
    for (const name of [...MAXIMA, 'n']) {
      const value = overrideParams[name];
      if (value !== undefined) maxima[name] = value;
    }
    different.set(JSON.stringify(maxima), maxima);
  }
  return [...different.values()];
}
