import type { JsonObject } from '../core/json.ts';
import type { Usage } from '../core/usage.ts';
import { googleExtra, type Remember, type ThinkingBlock } from './extensions.ts';
import type { Citation } from './writer.ts';

/** OpenAI's usage object. `cache_write_1h_tokens` is ours: of what was written to the cache, what is kept for an hour. */
export function usageObject(usage: Usage): JsonObject {
  const { input, output, cached, cacheWrite, cacheWriteHour = 0, reasoning } = usage;
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: {
      cached_tokens: cached,
      cache_write_tokens: cacheWrite,
      ...(cacheWriteHour > 0 ? { cache_write_1h_tokens: cacheWriteHour } : {}),
    },
    completion_tokens_details: { reasoning_tokens: reasoning },
  };
}

export function annotation({ url, title, start, end }: Citation): JsonObject {
  return { type: 'url_citation', url_citation: { url, title, start_index: start, end_index: end } };
}

/** A call's id: the upstream's own, else a new one that says so by its beginning. */
export function callId(id: string | null, newId: () => string): string {
  return id === null || id === '' ? `${MINTED_ID}${newId().replaceAll('-', '')}` : id;
}

/** How ids begin that were made here because an upstream gave none: nobody there knows them. */
export const MINTED_ID = 'call_sw';

/** What a choice must be handed back with, as far as it has been told. */
export class HandBack {
  readonly blocks: ThinkingBlock[] = [];
  readonly #callIds: string[] = [];
  readonly #signatures = new Map<string, string>();

  call(id: string, thoughtSignature: string | undefined): void {
    this.#callIds.push(id);
    if (thoughtSignature !== undefined) this.#signatures.set(id, thoughtSignature);
  }

  /** The choice has finished. */
  remember(remember: Remember): void {
    if (this.#callIds.length === 0) return;
    if (this.blocks.length === 0 && this.#signatures.size === 0) return;
    remember(this.#callIds, {
      thinkingBlocks: this.blocks,
      thoughtSignatures: Object.fromEntries(this.#signatures),
    });
  }
}

/** The members of a tool call that its first piece brings. */
export function callHead(
  id: string,
  { name, thoughtSignature }: { name: string; thoughtSignature?: string },
  args: string,
): JsonObject {
  const extra = thoughtSignature === undefined ? {} : { extra_content: googleExtra(thoughtSignature) };
  return { id, type: 'function', function: { name, arguments: args }, ...extra };
}
