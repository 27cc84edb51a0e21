import { newKey } from '../auth/new-key.ts';
import { ApiError } from '../core/errors.ts';
import {
  keyExists,
  keyOf,
  type MadeKey,
  newTenant,
  patched,
  withKey,
  withKeyQuotas,
  withoutKey,
  withRotatedKey,
} from './changes.ts';
import type { Draft, TenantDirectory } from './directory.ts';
import type { TenantDocument } from './document.ts';
import { type FileSettings, type TenantPage, TenantReader } from './reader.ts';
import { Checks, read } from './requests.ts';
import {
  keyPatchSchema,
  keySchema,
  type NewTenant,
  newTenantSchema,
  type Rotation,
  rotationSchema,
  tenantPatchSchema,
} from './schema.ts';
import { type KeyView, type TenantView, viewOfKey } from './view.ts';
import { noKey, noTenant, TenantWriter } from './writer.ts';

/** Where a change comes from, as far as that can be known: there is one admin token. */
export interface Origin {
  /** Its id, as the answer says it. */
  request: string;
  address: string;
}

/** Something has been changed. Nothing of a key is in it. */
export interface TenantChange extends Origin {
  action:
    | 'tenant created'
    | 'tenant changed'
    | 'tenant deleted'
    | 'key created'
    | 'key rotated'
    | 'key changed'
    | 'key revoked';
  tenant: string;
  /** The key's id. */
  key: string | null;
}

export type { FileSettings };

/** All that operators may do, wherever it is done. */
export type TenantOperations = Omit<TenantAdmin, 'setFile'>;

export interface TenantAdminOptions {
  directory: TenantDirectory;
  /** The configuration's path, for people. */
  fileName: string;
  file: FileSettings;
  onChange(change: TenantChange): void;
}

/** A key that was just made is shown this once. */
export type ShownKey = KeyView & { key?: string };
export type PutKey = ShownKey & { rotated: boolean };

/** Everyone is this tenant where no keys are asked for. */
const ANONYMOUS = 'anonymous';

/** What operators may do with tenants: bodies in, answers out, ApiErrors thrown. Knows no HTTP. */
export class TenantAdmin {
  readonly #directory: TenantDirectory;
  readonly #reader: TenantReader;
  readonly #writer: TenantWriter;
  readonly #onChange: TenantAdminOptions['onChange'];
  #file: FileSettings;

  constructor({ directory, fileName, file, onChange }: TenantAdminOptions) {
    this.#directory = directory;
    this.#reader = new TenantReader(directory, () => this.#file);
    this.#writer = new TenantWriter(directory, fileName);
    this.#onChange = onChange;
    this.#file = file;
    this.setFile(file);
  }

  /** At each reload. */
  setFile(file: FileSettings): void {
    this.#file = file;
    this.#directory.setFile(file.tenants);
  }

  list(query: unknown): Promise<TenantPage> {
    return this.#reader.list(query);
  }

  get(id: string): Promise<TenantView> {
    return this.#reader.get(id);
  }

  async keys(tenant: string): Promise<{ keys: KeyView[] }> {
    return { keys: (await this.#reader.get(tenant)).keys };
  }

  async create(body: unknown, origin: Origin): Promise<TenantView & { keys: ShownKey[] }> {
    const input = read(newTenantSchema, body);
    const checks = new Checks(this.#file.models);
    if (input.id === ANONYMOUS) checks.report(['id'], 'is what everyone is where no keys are asked for');
    checks.models(input.models, ['models']);
    checks.quotas(input.quotas, ['quotas']);
    const { keys, shown } = this.#newKeys(input, checks);
    checks.done();
    for (const { sha256 } of keys) this.#refuseFileKey(sha256);
    const { document } = await this.#update(input.id, (current, now) => {
      if (current === null) return newTenant(input, keys, now);
      throw new ApiError('tenant_exists', `There is a tenant \`${input.id}\` already.`, { param: 'id' });
    });
    this.#tell('tenant created', input.id, null, origin);
    const view = this.#reader.viewOf(document);
    return { ...view, keys: view.keys.map((key) => withShown(key, shown.get(key.id))) };
  }

  async patch(id: string, body: unknown, origin: Origin): Promise<TenantView> {
    const patch = read(tenantPatchSchema, body);
    const checks = new Checks(this.#file.models);
    checks.models(patch.models, ['models']);
    checks.quotas(patch.quotas, ['quotas']);
    checks.done();
    const { document, changed } = await this.#update(id, (current) => patched(known(id, current), patch));
    if (changed) this.#tell('tenant changed', id, null, origin);
    return this.#reader.viewOf(document);
  }

  async remove(id: string, origin: Origin): Promise<void> {
    await this.#writer.update(id, (current) => {
      known(id, current);
      return null;
    });
    this.#tell('tenant deleted', id, null, origin);
  }

  /** Makes a key, or rotates the one of that id. */
  async putKey(tenant: string, body: unknown, origin: Origin): Promise<PutKey> {
    const { id, quotas, ...rest } = read(keySchema, body);
    const checks = new Checks(this.#file.models);
    checks.quotas(quotas, ['quotas']);
    const { sha256, key } = this.#keyFor(rest.sha256, ['sha256'], checks);
    checks.done();
    this.#refuseFileKey(sha256);
    const grace = this.#graceOf(rest);
    let rotated = false;
    const { document } = await this.#update(tenant, (current, now) => {
      const found = known(tenant, current);
      rotated = keyOf(found, id) !== null;
      return rotated
        ? withRotatedKey(found, { id, sha256, grace, quotas }, now)
        : withKey(found, { id, sha256, quotas: quotas ?? [] }, now);
    });
    this.#tell(rotated ? 'key rotated' : 'key created', tenant, id, origin);
    return { ...withShown(this.#viewOfKey(document, id), key), rotated };
  }

  /** Rotates a key that there is. */
  async rotate(tenant: string, id: string, body: unknown, origin: Origin): Promise<PutKey> {
    const rotation = read(rotationSchema, body);
    const checks = new Checks(this.#file.models);
    const { sha256, key } = this.#keyFor(rotation.sha256, ['sha256'], checks);
    checks.done();
    this.#refuseFileKey(sha256);
    const grace = this.#graceOf(rotation);
    const { document } = await this.#update(tenant, (current, now) =>
      withRotatedKey(knownKey(tenant, current, id), { id, sha256, grace, quotas: undefined }, now),
    );
    this.#tell('key rotated', tenant, id, origin);
    return { ...withShown(this.#viewOfKey(document, id), key), rotated: true };
  }

  async patchKey(tenant: string, id: string, body: unknown, origin: Origin): Promise<KeyView> {
    const { quotas } = read(keyPatchSchema, body);
    const checks = new Checks(this.#file.models);
    checks.quotas(quotas, ['quotas']);
    checks.done();
    const { document, changed } = await this.#update(tenant, (current) => {
      const found = knownKey(tenant, current, id);
      return quotas === undefined ? found : withKeyQuotas(found, id, quotas);
    });
    if (changed) this.#tell('key changed', tenant, id, origin);
    return this.#viewOfKey(document, id);
  }

  /** With all that it was before. */
  async revoke(tenant: string, id: string, origin: Origin): Promise<void> {
    await this.#update(tenant, (current) => withoutKey(knownKey(tenant, current, id), id));
    this.#tell('key revoked', tenant, id, origin);
  }

  #newKeys({ keys }: NewTenant, checks: Checks): { keys: MadeKey[]; shown: Map<string, string> } {
    const shown = new Map<string, string>();
    const hashes = new Set<string>();
    const ids = new Set<string>();
    const made = keys.map(({ id, quotas, sha256: given }, index) => {
      const path = ['keys', index];
      if (ids.has(id)) checks.report([...path, 'id'], 'another key of this tenant has this id already');
      ids.add(id);
      checks.quotas(quotas, [...path, 'quotas']);
      const place = [...path, 'sha256'];
      const { sha256, key } = this.#keyFor(given, place, checks);
      if (hashes.has(sha256)) checks.report(place, "is that of another key here; each key is one client's");
      if (sha256 !== '') hashes.add(sha256);
      if (key !== undefined) shown.set(id, key);
      return { id, sha256, quotas };
    });
    return { keys: made, shown };
  }

  /** The one that was handed in as its hash, or a new one. */
  #keyFor(
    given: string | undefined,
    path: (string | number)[],
    checks: Checks,
  ): { sha256: string; key?: string } {
    return given === undefined ? newKey() : { sha256: checks.hash(given, path) };
  }

  #graceOf({ grace = this.#file.keyGrace }: Rotation): number {
    return grace;
  }

  #refuseFileKey(sha256: string): void {
    const owner = this.#directory.fileKey(sha256);
    if (owner !== null) throw keyExists(owner);
  }

  async #update(
    id: string,
    change: (current: TenantDocument | null, now: number) => Draft,
  ): Promise<{ document: TenantDocument; changed: boolean }> {
    const { document, changed } = await this.#writer.update(id, change);
    if (document === null) throw new Error('a tenant that was kept is gone');
    return { document, changed };
  }

  #viewOfKey(document: TenantDocument, id: string): KeyView {
    const key = keyOf(document, id);
    if (key === null) throw new Error('a key that was kept is gone');
    return viewOfKey(key, this.#directory.time());
  }

  #tell(action: TenantChange['action'], tenant: string, key: string | null, origin: Origin): void {
    this.#onChange({ action, tenant, key, ...origin });
  }
}

function known(id: string, current: TenantDocument | null): TenantDocument {
  if (current === null) throw noTenant(id);
  return current;
}

function knownKey(tenant: string, current: TenantDocument | null, id: string): TenantDocument {
  const found = known(tenant, current);
  if (keyOf(found, id) === null) throw noKey(tenant, id);
  return found;
}

function withShown(view: KeyView, key: string | undefined): ShownKey {
  return key === undefined ? view : { ...view, key };
}
