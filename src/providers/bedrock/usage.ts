import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';

/** Hundreds of times what a model can take or give: a report of more is a mistake. */
const MOST_TOKENS = 1e9;

/** Converse's `usage`: what was read from the cache and written to it stands beside the input there. */
export function readConverseUsage(usage: JsonObject): Usage {
  const cached = tokens(usage['cacheReadInputTokens']);
  const cacheWrite = tokens(usage['cacheWriteInputTokens']);
  const hour = Math.min(writtenForAnHour(usage['cacheDetails']), cacheWrite);
  return {
    input: tokens(usage['inputTokens']) + cached + cacheWrite,
    output: tokens(usage['outputTokens']),
    cached,
    cacheWrite,
    ...(hour > 0 ? { cacheWriteHour: hour } : {}),
    reasoning: 0,
  };
}

function writtenForAnHour(details: Json | undefined): number {
  if (!Array.isArray(details)) return 0;
  return details.reduce<number>(
    (sum, detail) =>
      isJsonObject(detail) && detail['ttl'] === '1h' ? sum + tokens(detail['inputTokens']) : sum,
    0,
  );
}

/** A count of tokens; 0 for what cannot be one. */
export function tokens(value: Json | undefined): number {
  return typeof value === 'number' && value > 0 && value <= MOST_TOKENS ? Math.round(value) : 0;
}
