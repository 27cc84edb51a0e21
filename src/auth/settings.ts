import type { QuotaSettings } from '../quota/settings.ts';

export interface TenantSettings {
  id: string;
  /** Free text, for conditions. */
  tier: string | null;
  /** Names it may ask for; null = all. */
  models: ReadonlySet<string> | null;
  keys: readonly KeySettings[];
  /** All of them hold at once. */
  quotas: readonly QuotaSettings[];
}

export interface KeySettings {
  id: string;
  /** SHA-256 of the key, 64 lower-case hex digits. */
  sha256: string;
  /** Beside those of its tenant. */
  quotas: readonly QuotaSettings[];
}
