import type { JsonObject } from '../core/json.ts';
import type { ThinkingBlock } from './extensions.ts';

/**
 * Clients hand thinking blocks back as they are and look into no signature, so that is where it is kept whose it is. What another model than
 * Claude thought has none, and says so by an empty one.
 */
const OF_BEDROCK = 'spillway:bedrock:';

/** The block as a client of Anthropic's gets it. */
export function presentThinking(block: ThinkingBlock): JsonObject {
  const mark = block.origin === 'bedrock' ? OF_BEDROCK : '';
  return block.type === 'thinking'
    ? { type: 'thinking', thinking: block.thinking, signature: `${mark}${block.signature}` }
    : { type: 'redacted_thinking', data: `${mark}${block.data}` };
}

/** A block that a client hands back; null if nobody signed it. */
export function readThinking(block: JsonObject): ThinkingBlock | null {
  const { type, thinking, signature, data } = block;
  if (type === 'thinking' && typeof thinking === 'string' && typeof signature === 'string') {
    if (signature === '') return null;
    const { text, origin } = unmark(signature);
    return { type, thinking, signature: text, ...origin };
  }
  if (type === 'redacted_thinking' && typeof data === 'string' && data !== '') {
    const { text, origin } = unmark(data);
    return { type, data: text, ...origin };
  }
  return null;
}

/** Would Anthropic take it? Not what was never signed, or by another model. */
export function isForeignThinking(block: JsonObject): boolean {
  if (block['type'] !== 'thinking' && block['type'] !== 'redacted_thinking') return false;
  const signed = readThinking(block);
  return signed === null || signed.origin === 'bedrock';
}

function unmark(text: string): { text: string; origin: { origin?: 'bedrock' } } {
  if (!text.startsWith(OF_BEDROCK)) return { text, origin: {} };
  return { text: text.slice(OF_BEDROCK.length), origin: { origin: 'bedrock' } };
}
