import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { clientsName, type Names, placeInList } from '../names.ts';

const NAMES: Names = {
  max_completion_tokens: ['max_tokens'],
  parallel_tool_calls: ['tool_choice.disable_parallel_tool_use'],
  reasoning_effort: ['output_config.effort', 'thinking'],
  response_format: ['output_config.format', 'output_format'],
  safety_identifier: ['metadata.user_id'],
  stop: ['stop_sequences'],
  user: ['metadata.user_id'],
};

/** Anthropic's name of a chat's parameter; null: the client sent nothing of the kind. `chat`: what `request` became. */
export function messagesName(param: string, request: JsonObject, chat: JsonObject): string | null {
  if (!/^messages\b/.test(param)) return clientsName(param, request, NAMES);
  const { messages: list } = request;
  const { messages } = chat;
  const before = systemMessages(request, chat);
  if (before === 1 && /^messages\[0\]/.test(param)) return 'system';
  // A system message in the list may have become none.
  const isPlain = Array.isArray(list) && !list.some((one) => isJsonObject(one) && one['role'] === 'system');
  const at = isPlain ? placeInList(param, list, before, messages) : null;
  return at === null ? 'messages' : `messages${at}`;
}

/** How many messages `system` became. */
function systemMessages({ system }: JsonObject, { messages }: JsonObject): number {
  const first = Array.isArray(messages) ? messages[0] : null;
  return system !== undefined && isJsonObject(first) && first['role'] === 'system' ? 1 : 0;
}
