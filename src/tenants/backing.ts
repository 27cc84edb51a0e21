/**
 * Where tenants that were made through the admin API are kept: in this process, or in Redis for all gateways. What is kept is text,
 * one JSON for each tenant (document.ts); both keep this contract and pass one test suite.
 *
 * Every call may reject with StateUnavailable (src/state/unavailable.ts).
 */
export interface TenantBacking {
  /** `memory`: lost with the process. */
  readonly kind: 'memory' | 'redis';
  /** The clock that keys run out by. Milliseconds since 1970. */
  time(): number;
  /**
   * Puts a tenant, or its tombstone, in place of the one with the version `expected` (0: there is none), in one atomic step. Not if
   * that is not what is there, or is not older, nor if one of its keys is another tenant's. A call that was given up is not
   * carried out much later.
   */
  write(row: Row, expected: number): Promise<Written>;
  /** How to hear of others' changes; null where there are no others. */
  readonly feed: Feed | null;
}

/** `taken`: one of its keys belongs to this tenant. */
export type Written = { kind: 'written' } | { kind: 'changed' } | { kind: 'taken'; by: string };

export interface Row {
  id: string;
  json: string;
}

/** Everybody's changes, one after the other. */
export interface Feed {
  /**
   * What changed after the position `after`, in order; of each tenant the last change only. `known`: what the asker knows is the
   * state of the store there (`BEGINNING`: nothing is known). `diverged`: it is not, or no longer, a state of this store, which has
   * been emptied, or has lost its last writes, or has gone on so far that it has forgotten.
   */
  changes(known: string, after: string): Promise<Page | 'diverged'>;
  /**
   * Gives back to the store what it has lost: each row is taken if it is newer than what is there, and then counts as a change.
   * Answers in the order of the rows: it is there now; what is there is newer (that one); it was deleted; a key is another tenant's.
   */
  restore(rows: readonly Row[]): Promise<Restored[]>;
}

export interface Page {
  rows: Row[];
  /** Where to go on. */
  position: string;
  /** Nothing comes after it: whoever has read this far knows the state at `position`. */
  isLast: boolean;
}

export type Restored =
  | { kind: 'kept' }
  | { kind: 'newer'; json: string }
  | { kind: 'deleted' }
  | { kind: 'taken' };

/** Before the first change. */
export const BEGINNING = '0';

/** Tombstones that are kept, in the store and in each gateway. */
export const TOMBSTONES = 10_000;
