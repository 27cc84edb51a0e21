import { DIMENSIONS, type Dimension } from './dimensions.ts';
import type { Period } from './periods.ts';
import type { QuotaSettings } from './settings.ts';

/** One quota as it is enforced: a counter in the store, and how far it may go. */
export interface Limit {
  /**
   * Names the counter within its tenant: the same in every gateway and after a reload, whatever the limit is changed to. Such as
   * `tenant/tokens/hour`, `key.ci/usd/day` or `tenant/output_tokens/day/premium,smart`.
   */
  id: string;
  of: Dimension;
  per: Period | null;
  scope: 'tenant' | 'key';
  /** Names as clients send them; null = all. */
  models: ReadonlySet<string> | null;
  /** In the store's whole units: requests, tokens, nanodollars. */
  max: number;
}

/** The quotas of a tenant and one of its keys, ready to be looked up for each request. */
export class Limits {
  /** Those of the tenant first. */
  readonly all: readonly Limit[];
  readonly #narrowed: boolean;

  constructor(
    tenant: readonly QuotaSettings[],
    key: { id: string; quotas: readonly QuotaSettings[] } | null,
  ) {
    const ofTenant = tenant.map((quota) => toLimit(quota, 'tenant', 'tenant'));
    const ofKey = key === null ? [] : key.quotas.map((quota) => toLimit(quota, 'key', `key.${key.id}`));
    this.all = [...ofTenant, ...ofKey];
    this.#narrowed = this.all.some(({ models }) => models !== null);
  }

  /** Those that a request must keep: `asked` is the name that the client sent, `resolved` the one under `models` that it stands for. */
  forModel(asked: string, resolved: string): readonly Limit[] {
    if (!this.#narrowed) return this.all;
    return this.all.filter(({ models }) => models === null || models.has(asked) || models.has(resolved));
  }
}

/** Whose it is, what it counts and per what, such as `key/usd/day`: for metrics and the log, so it holds no names. */
export function labelOf({ scope, of, per }: Limit): string {
  return per === null ? `${scope}/${of}` : `${scope}/${of}/${per}`;
}

export const NO_LIMITS = new Limits([], null);

function toLimit(quota: QuotaSettings, scope: Limit['scope'], owner: string): Limit {
  const { of, per, models, limit } = quota;
  return {
    id: quotaId(quota, owner),
    of,
    per,
    scope,
    models: models === null ? null : new Set(models),
    max: Math.round(limit * DIMENSIONS[of].scale),
  };
}

/** Two quotas with the same id would share a counter: the configuration is refused. */
export function quotaId({ of, per, models }: QuotaSettings, owner: string): string {
  const parts = [owner, of, per, models === null ? null : idOfModels(models)];
  return parts.filter((part) => part !== null).join('/');
}

/** The same for the same set, and for no other: a name may hold a comma. */
function idOfModels(models: readonly string[]): string {
  const names = models.map((name) => name.replaceAll('%', '%25').replaceAll(',', '%2C'));
  return [...new Set(names)].sort().join(',');
}
