import type { Keyring, Principal } from '../auth/keyring.ts';
import type { JsonObject } from '../core/json.ts';
import type { ModelPrice, Prices } from '../pricing/prices.ts';
import type { IdempotencySettings } from '../replay/settings.ts';
import type { TreeNode } from '../routing/tree.ts';
import type { Target } from '../upstream/registry.ts';

/** A configuration at work: what one request is served with from beginning to end, whatever is loaded meanwhile. */
export interface Live {
  /** Seconds since 1970. */
  loadedAt: number;
  keyring: Keyring;
  /** By the names that clients send, aliases included. */
  models: ReadonlyMap<string, LiveModel>;
  /** Is this a `provider/model` that may be asked for though no tree names it? */
  isDirect(name: string): boolean;
  /** Makes ready what `isDirect` says yes to; null for all else. */
  direct(name: string): LiveModel | null;
  /** Client headers that go on to the upstream, in lower case. */
  forwardHeaders: readonly string[];
  /** Milliseconds of quiet in a stream after which a comment is sent; 0 = never. */
  heartbeat: number;
  /** Prompts and answers go into the log. */
  logBodies: boolean;
  prices: Prices;
  idempotency: IdempotencySettings;
  /** Tokens reserved for an answer where a request names no maximum. */
  outputTokens: number;
}

export interface LiveModel {
  /** The name under `models`: an alias is resolved. */
  name: string;
  /** The name in metrics: one of a closed set. */
  label: string;
  tree: TreeNode<Target>;
  /** Asked for as `provider/model`, so that its name is the client's. */
  direct: boolean;
  /** Of its targets, each different one once; those without a price are left out. */
  prices: readonly ModelPrice[];
  /** Somewhere in its tree answers are kept. */
  keeps: boolean;
  /** A request for it takes no longer, by the timeouts of its targets. Milliseconds. */
  longest: number;
  /** The different `override_params` of its targets: they may change how much an answer can be. */
  overrides: readonly JsonObject[];
}

/** May this tenant's keys ask for the model, by the name that the client sent? */
export function mayUse({ tenant }: Principal, model: string): boolean {
  return tenant.models === null || tenant.models.has(model);
}
