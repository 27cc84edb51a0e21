import { isJsonObject, type Json } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';

/** Hundreds of times what a model can take or give: a report of more is a mistake. */
const MOST_TOKENS = 1e9;

const COUNTS = [
  'promptTokenCount',
  'toolUsePromptTokenCount',
  'cachedContentTokenCount',
  'candidatesTokenCount',
  'thoughtsTokenCount',
  'totalTokenCount',
] as const;

/** Follows the `usageMetadata` of one call: totals so far, of which the last counts. */
export class UsageReader {
  readonly #counts = new Map<(typeof COUNTS)[number], number>();

  /** Null until something was reported. */
  get usage(): Usage | null {
    if (this.#counts.size === 0) return null;
    const count = (name: (typeof COUNTS)[number]) => this.#counts.get(name) ?? 0;
    // What tools of Google's own brought in is read by the model as well, and paid for; what was cached is in the prompt already.
    const input = count('promptTokenCount') + count('toolUsePromptTokenCount');
    const [answer, thoughts] = [count('candidatesTokenCount'), count('thoughtsTokenCount')];
    // Thoughts stand beside the answer. Where the total says otherwise, they are in it.
    const areInside = thoughts <= answer && count('totalTokenCount') === input + answer;
    return {
      input,
      output: areInside ? answer : answer + thoughts,
      cached: Math.min(count('cachedContentTokenCount'), input),
      cacheWrite: 0,
      reasoning: thoughts,
    };
  }

  read(metadata: Json | undefined): void {
    if (!isJsonObject(metadata)) return;
    for (const name of COUNTS) {
      const value = metadata[name];
      if (typeof value === 'number' && value >= 0 && value <= MOST_TOKENS) {
        this.#counts.set(name, Math.round(value));
      }
    }
  }
}

/** Of several calls that gave one answer: each was paid for. */
export function sumOf(a: Usage | null, b: Usage | null): Usage | null {
  if (a === null || b === null) return a ?? b;
  return {
    input: a.input + b.input,
    output: a.output + b.output,
    cached: a.cached + b.cached,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    reasoning: a.reasoning + b.reasoning,
  };
}
