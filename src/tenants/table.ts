import type { Principal } from '../auth/keyring.ts';
import type { TenantSettings } from '../auth/settings.ts';
import { TOMBSTONES } from './backing.ts';
import { hashesOf, isGone, type Stored, type TenantDocument } from './document.ts';
import { KeyIndex } from './key-index.ts';

/** Tells an operator what they should know. */
export interface TenantLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** All tenants made through the admin API, as they are known here. */
export class TenantTable {
  readonly #time: () => number;
  readonly #log: TenantLog;
  readonly #documents = new Map<string, TenantDocument>();
  /** Versions of those that are gone. */
  readonly #gone = new Map<string, number>();
  readonly #index = new KeyIndex();
  /** The file's tenants, and theirs by the hashes of their keys. */
  #fileTenants: ReadonlySet<string> = new Set();
  #fileKeys: ReadonlyMap<string, string> = new Map();
  readonly #told = new Set<string>();

  constructor(time: () => number, log: TenantLog) {
    this.#time = time;
    this.#log = log;
  }

  find(sha256: string): Principal | null {
    return this.#index.find(sha256, this.#time);
  }

  get(id: string): TenantDocument | null {
    return this.#documents.get(id) ?? null;
  }

  documents(): Iterable<TenantDocument> {
    return this.#documents.values();
  }

  /** Also of one that is gone; 0 for one that never was, or was forgotten. */
  versionOf(id: string): number {
    return this.#documents.get(id)?.version ?? this.#gone.get(id) ?? 0;
  }

  /** Everything that is known, also of those that are gone. */
  *stored(): Iterable<Stored> {
    yield* this.#documents.values();
    for (const [id, version] of this.#gone) yield { id, gone: true, version };
  }

  /** Takes what is newer than what is known. */
  take(stored: Stored): void {
    const { id, version } = stored;
    if (version <= this.versionOf(id)) return;
    if (isGone(stored)) {
      this.#put(id, null);
      this.#gone.delete(id);
      this.#gone.set(id, version);
      const [oldest] = this.#gone.keys();
      if (this.#gone.size > TOMBSTONES && oldest !== undefined) this.#gone.delete(oldest);
    } else {
      this.#gone.delete(id);
      this.#put(id, stored);
      this.#tellOfFile(stored);
    }
  }

  /** Forgets it, whatever its version. */
  drop(id: string): void {
    this.#put(id, null);
    this.#gone.delete(id);
  }

  /** What the file says stands above what was made here: tenants by the same id are set aside. */
  setFile(tenants: readonly TenantSettings[]): void {
    const before = this.#fileTenants;
    const after = new Set(tenants.map(({ id }) => id));
    for (const id of new Set([...before, ...after])) {
      const document = this.get(id);
      if (document === null || before.has(id) === after.has(id)) continue;
      if (after.has(id)) this.#index.replace(document, null);
      else this.#index.replace(null, document);
    }
    this.#fileTenants = after;
    this.#fileKeys = new Map(
      tenants.flatMap((tenant) => tenant.keys.map((key) => [key.sha256, `${tenant.id}/${key.id}`])),
    );
    for (const document of this.#documents.values()) this.#tellOfFile(document);
  }

  isInFile(id: string): boolean {
    return this.#fileTenants.has(id);
  }

  /** `acme/ci`, if the file has a key with this hash. */
  fileKey(sha256: string): string | null {
    return this.#fileKeys.get(sha256) ?? null;
  }

  #put(id: string, document: TenantDocument | null): void {
    if (!this.isInFile(id)) this.#index.replace(this.get(id), document);
    if (document === null) this.#documents.delete(id);
    else this.#documents.set(id, document);
  }

  #tellOfFile(document: TenantDocument): void {
    const { id } = document;
    if (!this.isInFile(id)) {
      this.#told.delete(id);
      for (const sha256 of hashesOf(document)) {
        const owner = this.fileKey(sha256);
        if (owner === null) continue;
        this.#tell(
          `${id} ${owner}`,
          { tenant: id, file_key: owner },
          'a key of a tenant made through the admin API stands in the file too, and is used as the file says',
        );
      }
    } else {
      this.#tell(
        id,
        { tenant: id },
        'a tenant made through the admin API stands in the file too: it is set aside, and its keys are not valid',
      );
    }
  }

  /** Once. */
  #tell(what: string, fields: object, message: string): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    this.#log.warn(fields, message);
  }
}
