import type { Dimension } from './dimensions.ts';
import type { Period } from './periods.ts';

/** One quota as the file, or the admin API, says it. */
export interface QuotaSettings {
  /** In the words of `of`: requests, tokens, US dollars. */
  limit: number;
  of: Dimension;
  /** Null for `concurrent` alone. */
  per: Period | null;
  /** Names as clients send them; null = whatever is asked for. */
  models: readonly string[] | null;
}

/** `quota_defaults`. */
export interface QuotaDefaults {
  /** Reserved where a request names no maximum. Tokens. */
  outputTokens: number;
  /** How long a key that was rotated lives on. Milliseconds. */
  keyGrace: number;
  /** How long usage is kept. Days. */
  ledgerDays: number;
}
