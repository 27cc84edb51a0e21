import { Limits } from '../quota/limits.ts';
import { hashOfKey } from './key-hash.ts';
import { SeenKeys } from './seen-keys.ts';
import type { KeySettings, TenantSettings } from './settings.ts';

/** Who a request is made for. */
export interface Principal {
  tenant: TenantSettings;
  /** The key's id; null where no keys are asked for. */
  key: string | null;
  /** The quotas of both. */
  limits: Limits;
}

/** The tenant of everyone where `auth: none`. */
const ANONYMOUS: TenantSettings = { id: 'anonymous', tier: null, models: null, keys: [], quotas: [] };

/** Finds the principal of a key. */
export interface Keyring {
  /** `authorization` is the header's value. Null: no such key. */
  find(authorization: string | undefined): Principal | null;
  /** False: not all keys are known yet, so one that is not found may be somebody's. */
  readonly isComplete: boolean;
}

/** Further keys, by their hash. */
export interface KeyLookup {
  /** False: not all keys are known yet, so one that is not found may be somebody's. */
  readonly isComplete: boolean;
  find(sha256: string): Principal | null;
}

const NO_MORE: KeyLookup = { isComplete: true, find: () => null };

/**
 * Keys by their SHA-256: what is looked up is a hash, so the time it takes says nothing of how much of a guess was right, and
 * what is kept is of no use to who reads it.
 */
export class HashedKeyring implements Keyring {
  readonly #keys = new Map<string, { tenant: TenantSettings; key: KeySettings }>();
  /** Of keys that somebody came with: most of thousands never do. */
  readonly #principals = new Map<string, Principal>();
  readonly #more: KeyLookup;
  readonly #seen: SeenKeys;

  /** `more`: those that are asked where none of these tenants has the key. */
  constructor(
    tenants: readonly TenantSettings[],
    more: KeyLookup = NO_MORE,
    seen: SeenKeys = new SeenKeys(),
  ) {
    this.#more = more;
    this.#seen = seen;
    for (const tenant of tenants) {
      for (const key of tenant.keys) this.#keys.set(key.sha256, { tenant, key });
    }
  }

  get isComplete(): boolean {
    return this.#more.isComplete;
  }

  find(authorization: string | undefined): Principal | null {
    if (authorization === undefined) return null;
    const seen = this.#seen.hashOf(authorization);
    if (seen !== undefined) {
      const principal = this.#find(seen);
      if (principal === null) this.#seen.forget(authorization);
      return principal;
    }
    const key = bearerToken(authorization);
    if (key === null) return null;
    const sha256 = hashOfKey(key);
    const principal = this.#find(sha256);
    if (principal !== null) this.#seen.remember(authorization, sha256);
    return principal;
  }

  #find(sha256: string): Principal | null {
    return this.#principals.get(sha256) ?? this.#firstOf(sha256) ?? this.#more.find(sha256);
  }

  #firstOf(sha256: string): Principal | null {
    const found = this.#keys.get(sha256);
    if (found === undefined) return null;
    const { tenant, key } = found;
    const principal = { tenant, key: key.id, limits: new Limits(tenant.quotas, key) };
    this.#principals.set(sha256, principal);
    return principal;
  }
}

/** Everyone is the tenant `anonymous`, whatever key they bring. */
export class OpenKeyring implements Keyring {
  readonly isComplete = true;
  readonly #principal: Principal;

  constructor(tenants: readonly TenantSettings[]) {
    const tenant = tenants.find(({ id }) => id === ANONYMOUS.id) ?? ANONYMOUS;
    this.#principal = { tenant, key: null, limits: new Limits(tenant.quotas, null) };
  }

  find(): Principal {
    return this.#principal;
  }
}

/** The token of `Bearer …`; null for anything else. */
export function bearerToken(authorization: string | undefined): string | null {
  if (authorization === undefined) return null;
  const match = /^Bearer +(\S+) *$/i.exec(authorization);
  return match?.[1] ?? null;
}
