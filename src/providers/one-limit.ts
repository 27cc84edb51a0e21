import type { JsonObject } from '../core/json.ts';

/**
 * A target's overrides of a chat, with what they mean for the other name that the client used. `max_tokens` and `max_completion_tokens` are one limit under
 * an older and a newer name: a target's word on either is its word on both.
 */
export function withOneLimit(overrides: JsonObject, client: JsonObject): JsonObject {
  const saysOlder = overrides['max_tokens'] != null;
  if (saysOlder === (overrides['max_completion_tokens'] != null)) return overrides;
  const other = saysOlder ? 'max_completion_tokens' : 'max_tokens';
  return client[other] == null || Object.hasOwn(overrides, other)
    ? overrides
    : { ...overrides, [other]: null };
}
