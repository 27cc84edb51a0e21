import { isForeignThinking } from '../../chat/signed-thinking.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { ToolIds } from './tool-ids.ts';

/**
 * The messages of a conversation that others than Claude took part in, without what Anthropic would refuse: thoughts that it did not sign, links
 * that its search did not find, ids that it does not take. Null: there is nothing of that kind.
 */
export function withoutForeign(messages: readonly Json[]): Json[] | null {
  const ids = new ToolIds();
  let changed = false;
  const kept = messages.flatMap((message): Json[] => {
    const content = isJsonObject(message) ? message['content'] : null;
    if (!Array.isArray(content)) return [message];
    const blocks = content.flatMap((block) => cleaned(block, ids));
    if (blocks.length === content.length && blocks.every((block, index) => block === content[index])) {
      return [message];
    }
    changed = true;
    return blocks.length === 0 ? [] : [{ ...(message as JsonObject), content: blocks }];
  });
  return changed ? kept : null;
}

/** The block itself where nothing is wrong with it. */
function cleaned(block: Json, ids: ToolIds): Json[] {
  if (!isJsonObject(block)) return [block];
  switch (block['type']) {
    case 'thinking':
    case 'redacted_thinking':
      return isForeignThinking(block) ? [] : [block];
    case 'text': {
      const { citations } = block;
      if (!Array.isArray(citations) || !citations.some(isFoundElsewhere)) return [block];
      const own = citations.filter((citation) => !isFoundElsewhere(citation));
      return [{ ...block, citations: own.length > 0 ? own : null }];
    }
    case 'tool_use':
      return [withId(block, 'id', ids)];
    case 'tool_result':
      return [withId(block, 'tool_use_id', ids)];
  }
  return [block];
}

function isFoundElsewhere(citation: Json): boolean {
  return (
    isJsonObject(citation) &&
    citation['type'] === 'web_search_result_location' &&
    citation['encrypted_index'] === ''
  );
}

function withId(block: JsonObject, name: 'id' | 'tool_use_id', ids: ToolIds): JsonObject {
  const id = block[name];
  if (typeof id !== 'string') return block;
  const taken = ids.of(id);
  return taken === id ? block : { ...block, [name]: taken };
}

/**
 * `system` and `messages` with no system message among the latter; null: there is none. What ends the conversation after an answer, or is all of it, is said
 * by the user.
 */
export function hoisted(
  system: Json | undefined,
  messages: readonly Json[],
): { system: Json; messages: Json[] } | null {
  if (!messages.some(isSystem)) return null;
  const lastSaid = messages.findLastIndex((message) => !isSystem(message));
  const before = messages[lastSaid];
  const endsAsUser = before === undefined || (isJsonObject(before) && before['role'] === 'assistant');
  const prompts: Json[] = system === undefined || system === null ? [] : [system];
  const left = messages.flatMap((message, index): Json[] => {
    if (!isSystem(message)) return [message];
    if (endsAsUser && index > lastSaid) return [{ ...message, role: 'user' }];
    if (message['content'] !== undefined) prompts.push(message['content']);
    return [];
  });
  const isAllText = prompts.every((prompt) => typeof prompt === 'string');
  return { system: isAllText ? prompts.join('\n') : prompts.flatMap(asBlocks), messages: left };
}

function isSystem(message: Json): message is JsonObject {
  return isJsonObject(message) && message['role'] === 'system';
}

function asBlocks(content: Json): Json[] {
  if (Array.isArray(content)) return content;
  return typeof content === 'string' && content !== '' ? [{ type: 'text', text: content }] : [];
}

/** Does it end with a text of the assistant, to be gone on with? Not a turn of Anthropic's own tools, which may pause and go on. */
export function endsInPrefill(messages: readonly Json[]): boolean {
  const last = messages.at(-1);
  if (!isJsonObject(last) || last['role'] !== 'assistant') return false;
  const { content } = last;
  return (
    !Array.isArray(content) || content.every((block) => isJsonObject(block) && PREFILL.has(block['type']))
  );
}

const PREFILL = new Set<Json | undefined>(['text', 'thinking', 'redacted_thinking']);

/** As `lacksThinking` of turns. */
export function messagesLackThinking(messages: readonly Json[]): boolean {
  for (let at = messages.length - 1; at >= 0; at--) {
    const message = messages[at];
    if (!isJsonObject(message)) return false;
    const { role, content } = message;
    const blocks = asBlocks(content ?? null);
    if (role === 'user' && !blocks.some(isResult)) return false;
    if (role !== 'assistant') continue;
    const [first] = blocks;
    if (isJsonObject(first) && (first['type'] === 'thinking' || first['type'] === 'redacted_thinking'))
      continue;
    const before = messages[at - 1];
    const said = isJsonObject(before) ? asBlocks(before['content'] ?? null) : [];
    if (!said.every(isResult) || said.length === 0) return true;
  }
  return false;
}

function isResult(block: Json): boolean {
  return isJsonObject(block) && block['type'] === 'tool_result';
}
