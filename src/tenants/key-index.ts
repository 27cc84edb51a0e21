import type { Principal } from '../auth/keyring.ts';
import { Limits } from '../quota/limits.ts';
import { hashesOf, type TenantDocument, toTenantSettings } from './document.ts';

interface Entry {
  principal: Principal;
  /** Null: until it is taken out. Milliseconds since 1970. */
  until: number | null;
}

/** Principals by the hashes of their keys. A change of one tenant touches the entries of that tenant. */
export class KeyIndex {
  readonly #entries = new Map<string, Entry>();

  find(sha256: string, time: () => number): Principal | null {
    const entry = this.#entries.get(sha256);
    if (entry === undefined) return null;
    if (entry.until === null || entry.until > time()) return entry.principal;
    this.#entries.delete(sha256);
    return null;
  }

  /** In place of what was known of this tenant; null: nothing. */
  replace(before: TenantDocument | null, after: TenantDocument | null): void {
    if (before !== null) this.#remove(before);
    if (after !== null) this.#add(after);
  }

  #remove(document: TenantDocument): void {
    for (const sha256 of hashesOf(document)) {
      // Another tenant's by now, where the change that gave it away came first.
      if (this.#entries.get(sha256)?.principal.tenant.id === document.id) this.#entries.delete(sha256);
    }
  }

  #add(document: TenantDocument): void {
    const tenant = toTenantSettings(document);
    for (const [index, key] of tenant.keys.entries()) {
      const principal: Principal = { tenant, key: key.id, limits: new Limits(tenant.quotas, key) };
      this.#entries.set(key.sha256, { principal, until: null });
      for (const { sha256, until } of document.keys[index]?.previous ?? []) {
        this.#entries.set(sha256, { principal, until });
      }
    }
  }
}
