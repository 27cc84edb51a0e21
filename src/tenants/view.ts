import type { TenantSettings } from '../auth/settings.ts';
import type { QuotaFile } from '../quota/schema.ts';
import type { QuotaSettings } from '../quota/settings.ts';
import type { KeyDocument, TenantDocument } from './document.ts';

/** Tenants as operators see them. Nothing of a key is in it. */

export interface TenantView {
  id: string;
  /** `admin`: made through the admin API. */
  source: 'file' | 'admin';
  tier: string | null;
  /** Null = all. */
  models: string[] | null;
  /** As they can be sent. */
  quotas: QuotaFile[];
  keys: KeyView[];
  /** RFC 3339; null for the file's. */
  created_at: string | null;
  updated_at: string | null;
  /** What an operator should know about it. */
  note: string | null;
}

export interface KeyView {
  id: string;
  quotas: QuotaFile[];
  /** When the key in use was made; null for the file's. */
  created_at: string | null;
  /** Until when one that it was before is good as well. */
  previous_until: string | null;
}

export function viewOf(document: TenantDocument, now: number, note: string | null): TenantView {
  return {
    id: document.id,
    source: 'admin',
    tier: document.tier,
    models: document.models,
    quotas: document.quotas,
    keys: document.keys.map((key) => viewOfKey(key, now)),
    created_at: toDate(document.createdAt),
    updated_at: toDate(document.updatedAt),
    note,
  };
}

export function viewOfKey({ id, quotas, createdAt, previous }: KeyDocument, now: number): KeyView {
  const last = Math.max(0, ...previous.map(({ until }) => until));
  return {
    id,
    quotas,
    created_at: toDate(createdAt),
    previous_until: last > now ? toDate(last) : null,
  };
}

export function viewOfFile(
  { id, tier, models, quotas, keys }: TenantSettings,
  note: string | null,
): TenantView {
  return {
    id,
    source: 'file',
    tier,
    models: models === null ? null : [...models],
    quotas: quotas.map(asSent),
    keys: keys.map((key) => ({
      id: key.id,
      quotas: key.quotas.map(asSent),
      created_at: null,
      previous_until: null,
    })),
    created_at: null,
    updated_at: null,
    note,
  };
}

function asSent({ limit, of, per, models }: QuotaSettings): QuotaFile {
  return {
    limit,
    of,
    ...(per === null ? {} : { per }),
    ...(models === null ? {} : { models: [...models] }),
  };
}

function toDate(at: number): string {
  return new Date(at).toISOString();
}
