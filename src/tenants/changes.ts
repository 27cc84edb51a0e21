import { ApiError } from '../core/errors.ts';
import type { QuotaFile } from '../quota/schema.ts';
import type { Draft } from './directory.ts';
import type { KeyDocument, TenantDocument } from './document.ts';
import type { NewTenant, TenantPatch } from './schema.ts';

/** What operators ask for, done to a tenant as it is. Pure: each may be asked again on a newer state. */

/** How many times a key may be rotated while its first form is still good. */
const MOST_PREVIOUS = 20;

/** A key of a tenant that is being made. */
export type MadeKey = Pick<KeyDocument, 'id' | 'sha256' | 'quotas'>;

export function newTenant(
  { id, tier = null, models = null, quotas }: NewTenant,
  keys: readonly MadeKey[],
  now: number,
): Draft {
  return {
    id,
    tier,
    models,
    quotas,
    keys: keys.map((key) => ({ ...key, createdAt: now, previous: [] })),
    createdAt: now,
  };
}

export function patched(current: TenantDocument, { tier, models, quotas }: TenantPatch): TenantDocument {
  if (tier === undefined && models === undefined && quotas === undefined) return current;
  return {
    ...current,
    ...(tier === undefined ? {} : { tier }),
    ...(models === undefined ? {} : { models }),
    ...(quotas === undefined ? {} : { quotas }),
  };
}

export function keyOf(current: TenantDocument, id: string): KeyDocument | null {
  return current.keys.find((key) => key.id === id) ?? null;
}

export function withKey(current: TenantDocument, key: MadeKey, now: number): TenantDocument {
  refuseIfUsed(current, key);
  return { ...current, keys: [...current.keys, { ...key, createdAt: now, previous: [] }] };
}

/** The key that it was is good for `grace` more, and so are those before it, if they were to be good for as long. Milliseconds. */
export function withRotatedKey(
  current: TenantDocument,
  key: { id: string; sha256: string; grace: number; quotas: QuotaFile[] | undefined },
  now: number,
): TenantDocument {
  refuseIfUsed(current, key);
  const until = now + key.grace;
  return withChangedKey(current, key.id, (before) => {
    const previous = [...before.previous, { sha256: before.sha256, until }]
      .map((old) => ({ ...old, until: Math.min(old.until, until) }))
      .filter((old) => old.until > now && old.sha256 !== key.sha256);
    if (previous.length > MOST_PREVIOUS) {
      throw new ApiError(
        'invalid_value',
        `${MOST_PREVIOUS} earlier forms of this key are still good; wait, or send \`"grace": "0"\`, which ends them all at once.`,
        { param: 'grace' },
      );
    }
    return { ...before, sha256: key.sha256, quotas: key.quotas ?? before.quotas, createdAt: now, previous };
  });
}

export function withKeyQuotas(current: TenantDocument, id: string, quotas: QuotaFile[]): TenantDocument {
  return withChangedKey(current, id, (key) => ({ ...key, quotas }));
}

export function withoutKey(current: TenantDocument, id: string): TenantDocument {
  return { ...current, keys: current.keys.filter((key) => key.id !== id) };
}

function withChangedKey(
  current: TenantDocument,
  id: string,
  change: (key: KeyDocument) => KeyDocument,
): TenantDocument {
  return { ...current, keys: current.keys.map((key) => (key.id === id ? change(key) : key)) };
}

/** A key may go back to what it was, but not stay what it is, nor be what another one is or was. */
function refuseIfUsed(current: TenantDocument, { id, sha256 }: { id: string; sha256: string }): void {
  for (const key of current.keys) {
    const others = key.id === id ? [] : key.previous;
    if (key.sha256 === sha256 || others.some((old) => old.sha256 === sha256)) {
      throw keyExists(`${current.id}/${key.id}`);
    }
  }
}

/** `owner`: a tenant, or tenant and key. */
export function keyExists(owner: string): ApiError {
  return new ApiError(
    'key_exists',
    `This is the same key as, or was lately, one of \`${owner}\`; each key is one client's.`,
    { param: 'sha256' },
  );
}
