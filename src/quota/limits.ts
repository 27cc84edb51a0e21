import { type Consumption, DIMENSIONS, type Dimension, type DimensionRule, NOTHING } from './dimensions.ts';
import type { Period } from './periods.ts';
import type { QuotaSettings } from './settings.ts';
import { TRIOS, type Trio } from './trios.ts';

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

/** What a request asks of a limit. */
export interface Demand {
  limit: Limit;
  amount: number;
}

/** Quotas that hold together for a request, with what follows from them: found out once, not at each request. */
export class LimitSet {
  readonly limits: readonly Limit[];
  /** Of each, how it is booked. */
  readonly rules: readonly DimensionRule[];
  /** Tokens or money are held, so what a request may come to has to be estimated. */
  readonly reserves: boolean;
  /** Money is. */
  readonly boundsMoney: boolean;
  /** Money alone is, and no tokens: a target without a price would be free. */
  readonly needsPrices: boolean;
  /** Of each, how high it is, as a header says it. */
  readonly heights: readonly string[];
  /** The places in `limits` of those that are told in headers, by the trio. */
  readonly told: readonly { trio: Trio; places: readonly number[] }[];
  /** What a request asks of each that takes no tokens and no money: of most, what every request asks. */
  readonly #least: readonly Demand[];
  /** The places of the others. */
  readonly #held: readonly number[];

  constructor(limits: readonly Limit[]) {
    this.limits = limits;
    this.rules = limits.map(({ of }) => DIMENSIONS[of]);
    this.reserves = this.rules.some(({ booking }) => booking === 'reserve');
    this.boundsMoney = limits.some(({ of }) => of === 'usd');
    const boundsTokens = limits.some(({ of }) => of !== 'usd' && DIMENSIONS[of].errorType === 'tokens');
    this.needsPrices = this.boundsMoney && !boundsTokens;
    this.heights = limits.map(({ max }) => `${max}`);
    this.told = TRIOS.map((trio) => ({
      trio,
      places: [...limits.keys()].filter((place) => this.rules[place]?.header === trio.kind),
    })).filter(({ places }) => places.length > 0);
    this.#least = limits.map((limit) => ({ limit, amount: DIMENSIONS[limit.of].amount(NOTHING) }));
    this.#held = [...limits.keys()].filter((place) => this.rules[place]?.booking === 'reserve');
  }

  /** What a request that may take `most` asks of each. */
  demands(most: Consumption): readonly Demand[] {
    if (!this.reserves) return this.#least;
    const demands = this.#least.slice();
    for (const place of this.#held) {
      const { limit } = demands[place] as Demand;
      demands[place] = { limit, amount: (this.rules[place] as DimensionRule).amount(most) };
    }
    return demands;
  }
}

/** The quotas of a tenant and one of its keys, ready to be looked up for each request. */
export class Limits {
  /** Those of the tenant first. */
  readonly all: readonly Limit[];
  readonly #whole: LimitSet;
  /** Names that some are narrowed to. */
  readonly #names: ReadonlySet<string>;
  /** By the name asked for and the one that it stands for; `null`: one that nothing is narrowed to. No more than there are such names. */
  readonly #sets = new Map<string | null, Map<string | null, LimitSet>>();

  constructor(
    tenant: readonly QuotaSettings[],
    key: { id: string; quotas: readonly QuotaSettings[] } | null,
  ) {
    const ofTenant = tenant.map((quota) => toLimit(quota, 'tenant', 'tenant'));
    const ofKey = key === null ? [] : key.quotas.map((quota) => toLimit(quota, 'key', `key.${key.id}`));
    this.all = [...ofTenant, ...ofKey];
    this.#whole = new LimitSet(this.all);
    this.#names = new Set(this.all.flatMap(({ models }) => [...(models ?? [])]));
  }

  /** Those that a request must keep: `asked` is the name that the client sent, `resolved` the one under `models` that it stands for. */
  forModel(asked: string, resolved: string): LimitSet {
    const names = this.#names;
    if (names.size === 0) return this.#whole;
    return this.#narrowed(names.has(asked) ? asked : null, names.has(resolved) ? resolved : null);
  }

  #narrowed(asked: string | null, resolved: string | null): LimitSet {
    let ofAsked = this.#sets.get(asked);
    if (ofAsked === undefined) {
      ofAsked = new Map();
      this.#sets.set(asked, ofAsked);
    }
    let set = ofAsked.get(resolved);
    if (set === undefined) {
      const holds = (models: ReadonlySet<string>) =>
        (asked !== null && models.has(asked)) || (resolved !== null && models.has(resolved));
      set = new LimitSet(this.all.filter(({ models }) => models === null || holds(models)));
      ofAsked.set(resolved, set);
    }
    return set;
  }
}

/** Whose it is, what it counts and per what, such as `key/usd/day`: for metrics and the log, so it holds no names. */
export function labelOf({ scope, of, per }: Limit): string {
  return per === null ? `${scope}/${of}` : `${scope}/${of}/${per}`;
}

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
