import type { JsonObject } from '../core/json.ts';

/** The two are one limit under an older and a newer name: a target's word on either is its word on both. */
const LIMITS = ['max_tokens', 'max_completion_tokens'] as const;

/** A target's overrides of a chat, with what they mean for the other name that the client used. */
export function withOneLimit(overrides: JsonObject, client: JsonObject): JsonObject {
  const [said, ...others] = LIMITS.filter((name) => overrides[name] != null);
  if (said === undefined || others.length > 0) return overrides;
  const other = LIMITS.find((name) => name !== said) as string;
  return client[other] == null || Object.hasOwn(overrides, other)
    ? overrides
    : { ...overrides, [other]: null };
}
