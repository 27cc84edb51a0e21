import type { Json } from '../core/json.ts';

/** A condition, compiled when the configuration is loaded. */
export interface Query {
  matches(facts: Facts): boolean;
}

/** What a condition can ask about: looks up a dotted path such as `tenant.tier`; undefined where there is nothing. */
export interface Facts {
  lookup(path: readonly string[]): Json | undefined;
}
