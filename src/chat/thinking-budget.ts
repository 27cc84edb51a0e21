import type { JsonObject } from '../core/json.ts';

const BUDGET: unique symbol = Symbol('thinking budget');

type Request = JsonObject & { [BUDGET]?: number };

/**
 * Notes on a chat how many tokens of thought its client allows, who said so in a dialect that counts them: OpenAI's effort is a coarser word. Beside the JSON, so
 * never sent to who does not know of it; a copy by its members keeps it, one by its text does not.
 */
export function noteThinkingBudget(request: JsonObject, tokens: number | null): void {
  if (tokens !== null) (request as Request)[BUDGET] = tokens;
}

/** What was noted; null: nothing. */
export function thinkingBudget(request: JsonObject): number | null {
  return (request as Request)[BUDGET] ?? null;
}
