import type { FinishReason } from '../../chat/writer.ts';

/** Why an answer was withheld, or cut short, for what is in it. */
const FILTERED = new Set([
  'SAFETY',
  'RECITATION',
  'LANGUAGE',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'MODEL_ARMOR',
  'JAILBREAK',
]);

/** The model wrote what nobody can use; the same again often goes well. */
const FAILED = new Set([
  'MALFORMED_FUNCTION_CALL',
  'MALFORMED_RESPONSE',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MISSING_THOUGHT_SIGNATURE',
]);

/** Google's word for an answer that ended for a limit of one call, and can be gone on with. */
export const CONTINUATION = 'CONTINUATION';

/** What Google's reason is in OpenAI's words; `failed`: it is no answer. An unknown one is an end like any other. */
export function finishOf(reason: string, hasToolCalls: boolean): FinishReason | 'failed' {
  if (FAILED.has(reason)) return 'failed';
  if (reason === 'MAX_TOKENS' || reason === CONTINUATION) return 'length';
  if (FILTERED.has(reason) || reason.startsWith('IMAGE_')) return 'content_filter';
  return hasToolCalls ? 'tool_calls' : 'stop';
}
