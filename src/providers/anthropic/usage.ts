import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';

/** Hundreds of times what a model can take or give: a report of more is a mistake. */
const MOST_TOKENS = 1e9;

const OF_PROMPT = ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'] as const;
const COUNTS = [...OF_PROMPT, 'output_tokens'] as const;

/** Anthropic's usage, as it is told in pieces: each says how much it is so far, or null for what was said before. */
export class UsageTally {
  readonly #counts = new Map<string, number>();
  usage: Usage | null = null;

  /** `isBeginning`: before the first content, where what is said of the output is not its end. False if it is no usage. */
  take(usage: Json | undefined, isBeginning = false): boolean {
    if (!isJsonObject(usage)) return false;
    for (const name of isBeginning ? OF_PROMPT : COUNTS) this.#count(name, usage[name]);
    const { cache_creation: creation, output_tokens_details: details } = usage;
    if (isJsonObject(creation)) this.#count('hour', creation['ephemeral_1h_input_tokens']);
    if (isJsonObject(details)) this.#count('thinking', details['thinking_tokens']);
    this.usage = this.#sum();
    return true;
  }

  #count(name: string, value: Json | undefined): void {
    if (typeof value === 'number' && value >= 0 && value <= MOST_TOKENS) {
      this.#counts.set(name, Math.round(value));
    }
  }

  /** Anthropic counts what it read from and wrote to the cache beside the input; here they are part of it. */
  #sum(): Usage {
    const of = (name: string) => this.#counts.get(name) ?? 0;
    const cached = of('cache_read_input_tokens');
    const cacheWrite = of('cache_creation_input_tokens');
    const output = of('output_tokens');
    const hour = Math.min(of('hour'), cacheWrite);
    return {
      input: of('input_tokens') + cacheWrite + cached,
      output,
      cached,
      cacheWrite,
      ...(hour > 0 ? { cacheWriteHour: hour } : {}),
      reasoning: Math.min(of('thinking'), output),
    };
  }
}

/** Of a whole answer; null if it says nothing of it. */
export function usageOf({ usage }: JsonObject): Usage | null {
  const tally = new UsageTally();
  tally.take(usage);
  return tally.usage;
}
