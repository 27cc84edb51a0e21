import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { JsonBody } from '../core/json-body.ts';

/**
 * What an answer must be handed back with, for clients whose dialect has one opaque text for it: the `encrypted_content` of a reasoning item of
 * OpenAI's responses. It is not secret, only encoded: whoever holds it was given the same in the answer, and providers sign what matters.
 */
export interface Sealed {
  /** As in `thinking_blocks` of a message. */
  thinkingBlocks: readonly JsonObject[];
  /** Google's signatures, by the id of the call that each belongs to. */
  callSignatures: ReadonlyMap<string, string>;
  /** Google's signature of the text. */
  textSignature: string | null;
}

/** How a text begins that was made here, with the version of its form. No provider's own begins like it. */
const PREFIX = 'spillway-1.';

/** Sealed even where there is nothing in it: so what was made here can be told from a provider's own. */
export function sealReasoning({ thinkingBlocks, callSignatures, textSignature }: Sealed): string {
  const content = {
    ...(thinkingBlocks.length > 0 ? { blocks: thinkingBlocks } : {}),
    ...(callSignatures.size > 0 ? { calls: [...callSignatures] } : {}),
    ...(textSignature === null ? {} : { text: textSignature }),
  };
  return `${PREFIX}${Buffer.from(JSON.stringify(content)).toString('base64url')}`;
}

/** Was it made here? No provider takes it then. */
export function isSealedReasoning(text: unknown): text is string {
  return typeof text === 'string' && text.startsWith(PREFIX);
}

/** What was sealed; null for what was not sealed here, or is damaged. */
export function openReasoning(text: Json | undefined): Sealed | null {
  if (!isSealedReasoning(text)) return null;
  try {
    // Not `JSON.parse`: a client may have written it, and this one has bounds.
    const { value } = JsonBody.parse(Buffer.from(text.slice(PREFIX.length), 'base64url'));
    const { blocks, calls, text: signature } = value;
    return {
      thinkingBlocks: Array.isArray(blocks) ? blocks.filter(isJsonObject) : [],
      callSignatures: new Map(Array.isArray(calls) ? calls.filter(isPair) : []),
      textSignature: typeof signature === 'string' ? signature : null,
    };
  } catch {
    return null;
  }
}

function isPair(value: Json): value is [string, string] {
  return Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'string';
}

/** The items of a request without those that were sealed here, for a provider that would look for a seal of its own; null where there are none. */
export function withoutSealedReasoning(items: Json | undefined): Json[] | null {
  if (!Array.isArray(items)) return null;
  const others = items.filter((item) => !isJsonObject(item) || !isSealedReasoning(item['encrypted_content']));
  return others.length === items.length ? null : others;
}
