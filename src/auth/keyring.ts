import { hash } from 'node:crypto';
import type { TenantSettings } from './settings.ts';

/** Who a request is made for. */
export interface Principal {
  tenant: TenantSettings;
  /** The key's id; null where no keys are asked for. */
  key: string | null;
}

/** The tenant of everyone where `auth: none`. */
const ANONYMOUS: TenantSettings = { id: 'anonymous', tier: null, models: null, keys: [] };

/** Finds the principal of a key. */
export interface Keyring {
  /** `authorization` is the header's value. Null: no such key. */
  find(authorization: string | undefined): Principal | null;
}

/**
 * Keys by their SHA-256: what is looked up is a hash, so the time it takes says nothing of how much of a guess was right, and
 * what is kept is of no use to who reads it.
 */
export class HashedKeyring implements Keyring {
  readonly #principals = new Map<string, Principal>();

  constructor(tenants: readonly TenantSettings[]) {
    for (const tenant of tenants) {
      for (const key of tenant.keys) this.#principals.set(key.sha256, { tenant, key: key.id });
    }
  }

  find(authorization: string | undefined): Principal | null {
    const key = bearerToken(authorization);
    if (key === null) return null;
    return this.#principals.get(hash('sha256', key, 'hex')) ?? null;
  }
}

/** Everyone is the tenant `anonymous`, whatever key they bring. */
export class OpenKeyring implements Keyring {
  readonly #principal: Principal;

  constructor(tenants: readonly TenantSettings[]) {
    this.#principal = { tenant: tenants.find(({ id }) => id === ANONYMOUS.id) ?? ANONYMOUS, key: null };
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
