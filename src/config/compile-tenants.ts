import { hashOfKey, readHash } from '../auth/key-hash.ts';
import { ID_FORM, type TenantFile } from '../auth/schema.ts';
import type { KeySettings, TenantSettings } from '../auth/settings.ts';
import { quotaId } from '../quota/limits.ts';
import { type QuotaFile, toQuotaSettings } from '../quota/schema.ts';
import type { QuotaSettings } from '../quota/settings.ts';
import { formatPath, type Path } from './problem.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';

/** Who everyone is where no key is asked for. */
const ANONYMOUS = 'anonymous';

export function compileTenants(
  file: ConfigFile,
  scope: Scope,
  isModel: (name: string) => boolean,
): TenantSettings[] {
  const ids = new Set<string>();
  const hashes = new Map<string, string>();
  const tenants = file.tenants.map((tenant, index) => {
    const path = ['tenants', index];
    checkId(tenant.id, ids, [...path, 'id'], 'tenant', scope);
    if (file.auth === 'none' && tenant.id !== ANONYMOUS) {
      scope.warn(path, `is never seen: with \`auth: none\` everyone is the tenant \`${ANONYMOUS}\``);
    }
    checkModels(tenant.models ?? [], path, scope, isModel);
    const keys = compileKeys(tenant, path, hashes, scope, isModel);
    return {
      id: tenant.id,
      tier: tenant.tier ?? null,
      models: tenant.models === undefined ? null : new Set(tenant.models),
      keys,
      quotas: compileQuotas(tenant.quotas, tenant.id, [...path, 'quotas'], scope, isModel),
    };
  });
  if (file.auth === 'keys' && tenants.every(({ keys }) => keys.length === 0)) {
    scope.warn(
      ['tenants'],
      'nobody can call: no tenant has a key (`npx spillway key` prints one), and `auth: none` is not set',
    );
  }
  if (file.auth === 'none' && !ids.has(ANONYMOUS))
    tenants.push({ id: ANONYMOUS, tier: null, models: null, keys: [], quotas: [] });
  return tenants;
}

function checkId(id: string, seen: Set<string>, path: Path, what: string, scope: Scope): void {
  if (!ID_FORM.test(id)) {
    scope.report(path, `expected 1 to 64 of the characters a-z 0-9 _ -, found ${scope.shown(path)}`);
  } else if (seen.has(id)) scope.report(path, `another ${what} has this id already`);
  seen.add(id);
}

function checkModels(
  models: readonly string[],
  path: Path,
  scope: Scope,
  isModel: (name: string) => boolean,
): void {
  for (const [index, name] of models.entries()) {
    if (isModel(name)) continue;
    scope.reportName([...path, 'models', index], 'model', name, [
      ...scope.names.models,
      ...scope.names.aliases,
    ]);
  }
}

function compileKeys(
  tenant: TenantFile,
  path: Path,
  hashes: Map<string, string>,
  scope: Scope,
  isModel: (name: string) => boolean,
): KeySettings[] {
  const ids = new Set<string>();
  return tenant.keys.map((key, index) => {
    const place = [...path, 'keys', index];
    checkId(key.id, ids, [...place, 'id'], 'key of this tenant', scope);
    const sha256 = hashOf(key, place, scope);
    const at = [...place, key.sha256 === undefined ? 'key' : 'sha256'];
    const owner = hashes.get(sha256);
    if (owner !== undefined) scope.report(at, `is the same key as \`${owner}\`; each key is one client's`);
    if (sha256 !== '') hashes.set(sha256, `${tenant.id}/${key.id}`);
    return {
      id: key.id,
      sha256,
      quotas: compileQuotas(key.quotas, key.id, [...place, 'quotas'], scope, isModel),
    };
  });
}

/** Two that differ in nothing but the limit would share a counter, and only the smaller could ever hold. */
function compileQuotas(
  quotas: readonly QuotaFile[],
  owner: string,
  path: Path,
  scope: Scope,
  isModel: (name: string) => boolean,
): QuotaSettings[] {
  const ids = new Map<string, number>();
  return quotas.map((file, index) => {
    const quota = toQuotaSettings(file);
    const place = [...path, index];
    checkModels(file.models ?? [], place, scope, isModel);
    const id = quotaId(quota, owner);
    const twin = ids.get(id);
    if (twin !== undefined) {
      scope.report(
        place,
        `counts the same as \`${formatPath([twin], formatPath(path))}\`; keep one of the two`,
      );
    } else ids.set(id, index);
    return quota;
  });
}

/** The hash of a key, or an empty text after telling what is wrong. */
function hashOf(key: TenantFile['keys'][number], path: Path, scope: Scope): string {
  if (key.sha256 !== undefined && key.key !== undefined) {
    scope.report([...path, 'key'], 'takes the place of `sha256`; give one of the two');
    return '';
  }
  if (key.key !== undefined) {
    const place = [...path, 'key'];
    if (scope.isUnknown(place)) return hashOfKey(`key:${key.key}`);
    if (key.key === '') scope.report(place, `expected a key, found ${scope.shown(place)}`);
    else if (!/^[\x21-\x7e]+$/.test(key.key)) {
      scope.report(place, 'holds a space, line break or other character that no client can send');
    } else return hashOfKey(key.key);
    return '';
  }
  if (key.sha256 === undefined) {
    scope.report(
      [...path, 'sha256'],
      'missing; give `sha256` (`npx spillway key` prints a new key and its hash) or `key`',
    );
    return '';
  }
  const place = [...path, 'sha256'];
  const read = readHash(key.sha256);
  if ('hash' in read) return read.hash;
  scope.report(
    place,
    read.fault === 'form'
      ? `expected 64 hexadecimal digits, found ${scope.shown(place)}`
      : 'is the hash of an empty text; was the key empty when it was made?',
  );
  return '';
}
