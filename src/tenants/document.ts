import type { KeySettings, TenantSettings } from '../auth/settings.ts';
import { isJsonObject, tryParseJson } from '../core/json.ts';
import { type QuotaFile, toQuotaSettings } from '../quota/schema.ts';
import { documentSchema, tombstoneSchema } from './schema.ts';

/** A tenant as it is stored. Times are milliseconds since 1970, by the store's clock. */
export interface TenantDocument {
  id: string;
  tier: string | null;
  /** Null = all. */
  models: string[] | null;
  quotas: QuotaFile[];
  keys: KeyDocument[];
  createdAt: number;
  updatedAt: number;
  /** Microseconds since 1970 at its last change: of two that differ, the higher one is the newer. */
  version: number;
}

export interface KeyDocument {
  id: string;
  /** Of the key itself nothing else is kept. */
  sha256: string;
  quotas: QuotaFile[];
  /** When the key that it is now was made. */
  createdAt: number;
  /** Those that it was before: each is good until then. */
  previous: PreviousKey[];
}

export interface PreviousKey {
  sha256: string;
  until: number;
}

/** What is left of a tenant that was deleted, so that nobody who missed it brings the tenant back. */
export interface Tombstone {
  id: string;
  gone: true;
  version: number;
}

export type Stored = TenantDocument | Tombstone;

export function isGone(stored: Stored): stored is Tombstone {
  return 'gone' in stored;
}

/** Null for what cannot be read: written by hand, or by a gateway that is much newer. */
export function readStored(json: string): Stored | null {
  const value = tryParseJson(json);
  if (value === undefined || !isJsonObject(value)) return null;
  const read = Object.hasOwn(value, 'gone')
    ? tombstoneSchema.safeParse(value)
    : documentSchema.safeParse(value);
  return read.success ? read.data : null;
}

/** Every hash that lets somebody in, or did until lately. */
export function hashesOf(document: TenantDocument): string[] {
  return document.keys.flatMap(({ sha256, previous }) => [sha256, ...previous.map((old) => old.sha256)]);
}

/** Without what has run out. */
export function pruned(document: TenantDocument, now: number): TenantDocument {
  const keys = document.keys.map((key) => ({
    ...key,
    previous: key.previous.filter(({ until }) => until > now),
  }));
  return { ...document, keys };
}

export function toTenantSettings(document: TenantDocument): TenantSettings {
  const { id, tier, models, quotas } = document;
  const keys = document.keys.map(
    (key): KeySettings => ({ id: key.id, sha256: key.sha256, quotas: key.quotas.map(toQuotaSettings) }),
  );
  return {
    id,
    tier,
    models: models === null ? null : new Set(models),
    keys,
    quotas: quotas.map(toQuotaSettings),
  };
}
