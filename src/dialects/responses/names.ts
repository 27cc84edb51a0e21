import type { JsonObject } from '../../core/json.ts';
import { clientsName, type Names, placeInList } from '../names.ts';

const NAMES: Names = {
  'image_url.detail': ['detail'],
  logprobs: ['include', 'top_logprobs'],
  max_completion_tokens: ['max_output_tokens'],
  max_tokens: ['max_output_tokens'],
  reasoning_effort: ['reasoning.effort'],
  response_format: ['text.format'],
  verbosity: ['text.verbosity'],
};

/** What OpenAI's responses call a chat's parameter; null: the client sent nothing of the kind. `chat`: what `request` became. */
export function responsesName(param: string, request: JsonObject, chat: JsonObject): string | null {
  if (!/^messages\b/.test(param)) return clientsName(param, request, NAMES);
  const { instructions, input } = request;
  const before = typeof instructions === 'string' && instructions !== '' ? 1 : 0;
  if (before === 1 && /^messages\[0\]/.test(param)) return 'instructions';
  // No item becomes more than one message, so as many messages as items are one of each.
  const at = placeInList(param, input, before, chat['messages']);
  return at === null ? 'input' : `input${at}`;
}
