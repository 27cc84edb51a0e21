import type { Json } from '../core/json.ts';
import { formatDuration } from '../core/units.ts';
import { toBreakerSettings, toRetrySettings, toTimeoutSettings } from '../resilience/schema.ts';
import { compileQuery } from '../routing/query.ts';
import type { NodeFile } from '../routing/schema.ts';
import type { TargetSettings } from '../routing/target.ts';
import type { CacheNode, ConditionalNode, TreeNode } from '../routing/tree.ts';
import { addAliases } from './compile-aliases.ts';
import { hedgeOf, warnOfHedge } from './hedges.ts';
import { BUILT_IN, type Inheritance, inherit } from './inherit.ts';
import { formatPath, type Path } from './problem.ts';
import type { ModelEntry } from './runtime.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';

type Tree = TreeNode<TargetSettings>;

/** What each target was made of, in the file's own words, and where that stood. */
export type Origins = WeakMap<TargetSettings, Inheritance>;

export interface CompiledModels {
  models: Map<string, ModelEntry>;
  directModel(name: string): ModelEntry | null;
  origins: Origins;
}

/** Longer names are no model's. Characters. */
const LONGEST_NAME = 256;

export function compileModels(file: ConfigFile, scope: Scope): CompiledModels {
  const defaults = inherit(BUILT_IN, file.defaults, ['defaults']);
  const builder = new TreeBuilder(scope);
  checkOverrides(file.defaults, ['defaults'], scope);
  checkBreaker(file.defaults, defaults, ['defaults'], scope);
  const models = new Map<string, ModelEntry>();
  for (const [name, node] of Object.entries(file.models)) {
    const path = ['models', name];
    if (!isModelName(name))
      scope.report(path, `expected a name of 1 to ${LONGEST_NAME} characters, none of them control`);
    const tree = builder.node(node, path, defaults, name, null);
    if (tree !== null) models.set(name, { name, tree });
  }
  const directModel = directModels(file.direct_models ? scope.names.providers : new Set(), defaults);
  addAliases(file, models, directModel, scope);
  return { models, directModel, origins: builder.origins };
}

/** Lives as long as the configuration does, and must not keep all that the file was read to. */
function directModels(
  providers: ReadonlySet<string>,
  defaults: Inheritance,
): (name: string) => ModelEntry | null {
  const cache = cacheNode(null, defaults);
  return (name) => {
    const [provider, model] = splitDirect(name);
    if (provider === null || model === null || !providers.has(provider)) return null;
    const overrideParams = { ...defaults.overrideParams, model };
    const settings = target({ ...defaults, provider, overrideParams }, model, null);
    if (settings === null) return null;
    return { name, tree: { kind: 'target', label: name, cache, target: settings } };
  };
}

export function isModelName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return name.length > 0 && name.length <= LONGEST_NAME && !/[\x00-\x1f\x7f]/.test(name);
}

/** `openai/gpt-6-sol` to its two halves; the model may have slashes of its own. */
function splitDirect(name: string): [string, string] | [null, null] {
  const slash = name.indexOf('/');
  if (slash < 1 || slash === name.length - 1 || !isModelName(name)) return [null, null];
  return [name.slice(0, slash), name.slice(slash + 1)];
}

/** One result for each object: what thousands of targets inherit, they share. */
function shared<F extends object, S>(make: (file: F) => S): (file: F) => S {
  const made = new WeakMap<F, S>();
  return (file) => {
    const known = made.get(file) ?? make(file);
    made.set(file, known);
    return known;
  };
}

const retrySettings = shared(toRetrySettings);
const timeoutSettings = shared(toTimeoutSettings);
const breakerSettings = shared(toBreakerSettings);

function target(held: Inheritance, fallbackModel: string, prefill: boolean | null): TargetSettings | null {
  const { model = fallbackModel, ...overrideParams } = held.overrideParams;
  if (held.provider === null || typeof model !== 'string') return null;
  return {
    id: `${held.provider}/${model}`,
    provider: held.provider,
    model,
    overrideParams,
    retry: retrySettings(held.retry),
    timeouts: timeoutSettings(held.timeouts),
    breaker: breakerSettings(held.breaker),
    strictParams: held.strictParams,
    cacheMarkers: held.cache.markers === 'auto',
    midStream: held.midStream,
    prefill,
    cacheTtl: held.cache.mode === 'exact' ? held.cache.ttl : null,
  };
}

/** Where an answer that is kept is looked for: at the outermost node that says so. */
function cacheNode(parent: Inheritance | null, held: Inheritance): CacheNode | null {
  if (held.cache.mode !== 'exact' || parent?.cache.mode === 'exact') return null;
  return { shared: held.cache.shared };
}

function checkOverrides(node: Partial<NodeFile>, path: Path, scope: Scope): void {
  if (node.override_params === undefined) return;
  if (Object.hasOwn(node.override_params, 'stream')) {
    scope.report(
      [...path, 'override_params', 'stream'],
      'is the choice of the client, which must get what it asked for',
    );
  }
  if (!Object.hasOwn(node.override_params, 'model')) return;
  const { model } = node.override_params;
  const place = [...path, 'override_params', 'model'];
  if (node.model !== undefined)
    scope.report([...path, 'model'], 'is short for override_params.model; give one of the two');
  if (typeof model !== 'string' || !isModelName(model)) {
    scope.report(place, `expected the name of a model, found ${scope.shown(place)}`);
  }
}

/** Told where it is said; what is inherited was told above. */
function checkBreaker(node: Partial<NodeFile>, held: Inheritance, path: Path, scope: Scope): void {
  // One that comes from the environment may be empty here and a Redis elsewhere.
  if (node.breaker?.share === true && !scope.has(['state', 'redis'])) {
    scope.warn(
      [...path, 'breaker', 'share'],
      'has no effect without `state.redis`, by which gateways share it',
    );
  }
  const { open_for: openFor, max_open_for: maxOpenFor } = held.breaker;
  if (openFor <= maxOpenFor) return;
  for (const key of ['open_for', 'max_open_for'] as const) {
    if (node.breaker?.[key] === undefined) continue;
    const lengths = `\`open_for\` (${formatDuration(openFor)}) is longer than \`max_open_for\` (${formatDuration(maxOpenFor)})`;
    scope.report([...path, 'breaker', key], `${lengths}; change one of the two`);
    return;
  }
}

class TreeBuilder {
  readonly origins: Origins = new WeakMap();
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** Null if there is something wrong with it or below it, which has been told. `parent`: of the node above in the tree; null for its root. */
  node(
    node: NodeFile,
    path: Path,
    above: Inheritance,
    modelName: string,
    parent: Inheritance | null,
  ): Tree | null {
    const scope = this.#scope;
    checkOverrides(node, path, scope);
    if (node.provider !== undefined && node.virtual_key !== undefined) {
      scope.report([...path, 'virtual_key'], 'is another name for `provider`; give one of the two');
    }
    for (const key of ['provider', 'virtual_key'] as const) {
      const name = node[key];
      if (name !== undefined && !scope.names.providers.has(name)) {
        scope.reportName([...path, key], 'provider', name, scope.names.providers);
      }
    }
    const held = inherit(above, node, path);
    checkBreaker(node, held, path, scope);
    const label = node.name ?? formatPath(path);
    const cache = cacheNode(parent, held);
    if (node.targets !== undefined) {
      const branch = this.#branch(node, node.targets, path, held, label, modelName);
      return branch === null ? null : { ...branch, cache };
    }
    if (node.strategy !== undefined) {
      scope.report([...path, 'targets'], 'missing; a strategy needs targets to choose from');
      return null;
    }
    const settings = target(held, modelName, node.prefill ?? null);
    if (settings === null || !scope.names.providers.has(settings.provider)) {
      if (held.provider === null) {
        scope.report(
          [...path, 'provider'],
          'missing; a target names a provider (or has `targets` of its own)',
        );
      }
      return null;
    }
    this.origins.set(settings, held);
    return { kind: 'target', label, cache, target: settings };
  }

  #branch(
    node: NodeFile,
    targets: NodeFile[],
    path: Path,
    held: Inheritance,
    label: string,
    modelName: string,
  ): Tree | null {
    const scope = this.#scope;
    const built = targets.map((child, index) =>
      this.node(child, [...path, 'targets', index], held, modelName, held),
    );
    const children = built.filter((child) => child !== null);
    if (targets.length === 0) {
      scope.report([...path, 'targets'], 'is empty; expected at least one target');
      return null;
    }
    const strategy = node.strategy ?? (targets.length === 1 ? { mode: 'single' as const } : null);
    if (strategy === null) {
      const modes = 'fallback (in order), loadbalance (by weight) or conditional';
      scope.report(
        [...path, 'strategy'],
        `missing; with several targets say how one is chosen: { mode: … }, ${modes}`,
      );
      return null;
    }
    this.#checkStrategy(node, path);
    const onStatusCodes = strategy.on_status_codes === undefined ? null : new Set(strategy.on_status_codes);
    const complete = children.length === targets.length;
    switch (strategy.mode) {
      case 'single':
        if (targets.length > 1) {
          scope.report([...path, 'strategy', 'mode'], `\`single\` takes one target, found ${targets.length}`);
        }
        return complete
          ? { kind: 'fallback', label, cache: null, onStatusCodes, hedge: null, children }
          : null;
      case 'fallback': {
        if (!complete) return null;
        const hedge = hedgeOf(strategy);
        if (hedge !== null) warnOfHedge(hedge, children, [...path, 'strategy', 'hedge'], scope);
        return { kind: 'fallback', label, cache: null, onStatusCodes, hedge, children };
      }
      case 'loadbalance': {
        const weights = targets.map((child) => child.weight ?? 1);
        if (!weights.some((weight) => weight > 0)) {
          scope.report([...path, 'targets'], 'no target has a weight above 0, so none would ever be chosen');
        }
        const weighted = children.map((child, index) => ({ weight: weights[index] ?? 1, node: child }));
        if (!complete) return null;
        const { by = 'weight', sticky = null } = strategy;
        return { kind: 'loadbalance', label, cache: null, onStatusCodes, by, sticky, children: weighted };
      }
      case 'conditional':
        return this.#conditional(strategy, targets, built, path, label);
    }
  }

  /** Keys that only one strategy reads mean nothing to the others: somebody meant something else. */
  #checkStrategy({ strategy, targets = [] }: NodeFile, path: Path): void {
    const scope = this.#scope;
    if (strategy === undefined) return;
    if (strategy.mode !== 'conditional') {
      for (const key of ['conditions', 'default'] as const) {
        if (strategy[key] !== undefined)
          scope.report([...path, 'strategy', key], 'belongs to `mode: conditional`');
      }
    } else if (strategy.on_status_codes !== undefined) {
      scope.warn(
        [...path, 'strategy', 'on_status_codes'],
        'has no effect: a conditional takes one target and no other',
      );
    }
    for (const [key, mode] of [
      ['hedge', 'fallback'],
      ['by', 'loadbalance'],
      ['sticky', 'loadbalance'],
    ] as const) {
      if (strategy[key] !== undefined && strategy.mode !== mode)
        scope.report([...path, 'strategy', key], `belongs to \`mode: ${mode}\``);
    }
    if (strategy.mode === 'loadbalance') return;
    for (const [index, child] of targets.entries()) {
      if (child.weight === undefined) continue;
      scope.warn([...path, 'targets', index, 'weight'], `has no effect under \`${strategy.mode}\``);
    }
  }

  #conditional(
    strategy: NonNullable<NodeFile['strategy']>,
    targets: readonly NodeFile[],
    built: readonly (Tree | null)[],
    path: Path,
    label: string,
  ): Tree | null {
    const scope = this.#scope;
    const byName = new Map<string, Tree | null>();
    for (const [index, { name }] of targets.entries()) {
      const place = [...path, 'targets', index];
      if (name === undefined) scope.warn(place, 'has no `name`, so no condition can take it');
      else if (byName.has(name))
        scope.report([...place, 'name'], 'another target here has this name already');
      else byName.set(name, built[index] ?? null);
    }
    const child = (name: string, place: Path): Tree | null => {
      if (!byName.has(name)) scope.reportName(place, 'target here named', name, byName.keys());
      return byName.get(name) ?? null;
    };
    const place = [...path, 'strategy'];
    const sources = strategy.conditions ?? [];
    if (sources.length === 0) scope.report([...place, 'conditions'], 'expected at least one condition');
    const conditions: ConditionalNode<TargetSettings>['conditions'][number][] = [];
    for (const [index, { query: source, then: name }] of sources.entries()) {
      const at = [...place, 'conditions', index];
      const query = compileQuery(source as Json, (where, text) =>
        scope.report([...at, 'query', ...where], text),
      );
      const taken = child(name, [...at, 'then']);
      if (query !== null && taken !== null) conditions.push({ query, child: taken });
    }
    const fallback = strategy.default === undefined ? null : child(strategy.default, [...place, 'default']);
    return { kind: 'conditional', label, cache: null, conditions, default: fallback };
  }
}
