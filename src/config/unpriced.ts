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
  const warn = (quotas: readonly QuotaSettings[], tenant: TenantSettings, path: Path) => {
    for (const [index, quota] of quotas.entries()) {
      if (quota.of !== 'usd') continue;
      const unpriced = unpricedTargets(tenant, quota, models, prices);
      if (unpriced.length === 0) continue;
      const named = unpriced.slice(0, MOST_NAMED).join(', ');
      const more = unpriced.length > MOST_NAMED ? ` and ${unpriced.length - MOST_NAMED} more` : '';
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

/** Of the models that this quota counts and this tenant may ask for. */
function unpricedTargets(
  tenant: TenantSettings,
  quota: QuotaSettings,
  models: ReadonlyMap<string, ModelEntry>,
  prices: Prices,
): string[] {
  const found = new Set<string>();
  for (const [name, entry] of models) {
    if (tenant.models !== null && !tenant.models.has(name)) continue;
    if (quota.models !== null && !quota.models.includes(name) && !quota.models.includes(entry.name)) continue;
    for (const { id, provider, model } of targetsOf(entry.tree)) {
      if (prices.find(provider, model) === null) found.add(id);
    }
  }
  return [...found];
}
