import type { Row, TenantBacking, Written } from './backing.ts';
import { hashesOf, isGone, readStored, type TenantDocument } from './document.ts';

/** For one gateway without Redis: what is made is lost when the process ends. */
export class MemoryBacking implements TenantBacking {
  readonly kind = 'memory';
  readonly feed = null;
  readonly time: () => number;
  readonly #documents = new Map<string, TenantDocument>();
  /** Tenants by the hashes of their keys. */
  readonly #owners = new Map<string, string>();

  /** `time`: milliseconds since 1970. */
  constructor(time: () => number) {
    this.time = time;
  }

  async write({ id, json }: Row, expected: number): Promise<Written> {
    const before = this.#documents.get(id);
    const stored = readStored(json);
    if (stored === null) throw new Error(`no tenant: ${json}`);
    if ((before?.version ?? 0) !== expected || stored.version <= expected) return { kind: 'changed' };
    // There is nobody who could miss that it is gone: no tombstone is kept.
    const after = isGone(stored) ? null : stored;
    const hashes = after === null ? [] : hashesOf(after);
    for (const hash of hashes) {
      const owner = this.#owners.get(hash);
      if (owner !== undefined && owner !== id) return { kind: 'taken', by: owner };
    }
    if (before !== undefined) for (const hash of hashesOf(before)) this.#owners.delete(hash);
    for (const hash of hashes) this.#owners.set(hash, id);
    if (after === null) this.#documents.delete(id);
    else this.#documents.set(id, after);
    return { kind: 'written' };
  }
}
