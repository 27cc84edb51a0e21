import type { TenantSettings } from '../auth/settings.ts';
import type { Prices } from '../pricing/prices.ts';
import type { QuotaSettings } from '../quota/settings.ts';
import { targetsOf } from '../routing/map-tree.ts';
import type { Path } from './problem.ts';
import type { ModelEntry } from './runtime.ts';
import type { Scope } from './scope.ts';

/** More are not named one by one. */
const MOST_NAMED = 3;

/** Warns where dollars are limited, and what is spent on some target cannot be told in dollars. */
export function warnOfUnpriced(
  tenants: readonly TenantSettings[],
  models: ReadonlyMap<string, ModelEntry>,
  prices: Prices,
  scope: Scope,
): void {
  const unpriced = new UnpricedModels(models, prices);
  const warn = (quotas: readonly QuotaSettings[], tenant: TenantSettings, path: Path) => {
    for (const [index, quota] of quotas.entries()) {
      if (quota.of !== 'usd') continue;
      const targets = unpriced.targets(tenant, quota);
      if (targets.length === 0) continue;
      const named = targets.slice(0, MOST_NAMED).join(', ');
      const more = targets.length > MOST_NAMED ? ` and ${targets.length - MOST_NAMED} more` : '';
      const what = `no price is known for ${named}${more} (see \`prices\`)`;
      scope.warn(
        [...path, 'quotas', index],
        `${what}: without a quota of tokens such a target is refused, with one it counts nothing here`,
      );
    }
  };
  for (const [index, tenant] of tenants.entries()) {
    const path = ['tenants', index];
    warn(tenant.quotas, tenant, path);
    for (const [place, key] of tenant.keys.entries()) warn(key.quotas, tenant, [...path, 'keys', place]);
  }
}

/** The models some of whose targets have no price. Looked for once: there may be thousands of tenants, and as many models. */
class UnpricedModels {
  /** By each name that a client may send: what it stands for, and the ids of those targets. */
  readonly #byName = new Map<string, { model: string; targets: readonly string[] }>();
  /** Of all models: what most tenants may ask for. */
  readonly #all: readonly string[];

  constructor(models: ReadonlyMap<string, ModelEntry>, prices: Prices) {
    for (const [name, { name: model, tree }] of models) {
      const targets = [...targetsOf(tree)].filter(
        ({ provider, model: asked }) => prices.find(provider, asked) === null,
      );
      if (targets.length > 0) this.#byName.set(name, { model, targets: targets.map(({ id }) => id) });
    }
    this.#all = this.#under(this.#byName.keys(), null);
  }

  /** Of the models that this quota counts and this tenant may ask for. */
  targets(tenant: TenantSettings, quota: QuotaSettings): readonly string[] {
    if (tenant.models === null && quota.models === null) return this.#all;
    return this.#under(tenant.models ?? this.#byName.keys(), quota.models);
  }

  /** `counted`: only models of these names; null = all. */
  #under(names: Iterable<string>, counted: readonly string[] | null): string[] {
    const found = new Set<string>();
    for (const name of names) {
      const unpriced = this.#byName.get(name);
      if (unpriced === undefined) continue;
      if (counted !== null && !counted.includes(name) && !counted.includes(unpriced.model)) continue;
      for (const target of unpriced.targets) found.add(target);
    }
    return [...found];
  }
}
