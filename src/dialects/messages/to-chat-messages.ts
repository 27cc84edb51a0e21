import type { ThinkingBlock } from '../../chat/extensions.ts';
import { readThinking } from '../../chat/signed-thinking.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { blocksOf, cacheOf, contentOf, inputParts, textPart, textParts, unknownBlock } from './blocks.ts';
import type { Left } from './left.ts';
import { shortName } from './tool-names.ts';

/** `system` and `messages` as messages of a chat, in their order. */
export function chatMessages(request: JsonObject, left: Left): JsonObject[] {
  const messages: JsonObject[] = [];
  const system = textParts(request['system'], 'system');
  if (system.length > 0) messages.push({ role: 'system', content: contentOf(system) });
  const list = request['messages'];
  if (!Array.isArray(list)) throw new Unsupported('messages', 'The messages must be a list.');
  for (const [index, message] of list.entries()) {
    const at = `messages[${index}]`;
    if (!isJsonObject(message)) throw new Unsupported(at, 'A message must be an object.');
    messages.push(...chatMessage(message, at, left));
  }
  markLast(messages, request);
  return messages;
}

function chatMessage(message: JsonObject, at: string, left: Left): JsonObject[] {
  const place = `${at}.content`;
  switch (message['role']) {
    case 'user':
      return userMessages(message['content'], place, left);
    case 'assistant':
      return [assistantMessage(message['content'], place, left)];
    case 'system': {
      const parts = textParts(message['content'], place);
      return parts.length === 0 ? [] : [{ role: 'system', content: contentOf(parts) }];
    }
    default:
      throw new Unsupported(`${at}.role`, 'A message is of a user, an assistant or the system.');
  }
}

/**
 * One message of a user's, as the results of tools that are in it and what is said besides. The results come first wherever they stand: a chat
 * has them right after the calls, and so has Anthropic.
 */
function userMessages(content: Json | undefined, at: string, left: Left): JsonObject[] {
  const results: JsonObject[] = [];
  const parts: JsonObject[] = [];
  for (const { block, place } of blocksOf(content, at)) {
    if (block['type'] === 'tool_result') results.push(toolMessage(block, place, left));
    else parts.push(...inputParts(block, place, left));
  }
  if (parts.length === 0 && results.length > 0) return results;
  return [...results, { role: 'user', content: contentOf(parts) }];
}

function toolMessage(block: JsonObject, at: string, left: Left): JsonObject {
  const { tool_use_id: id, content } = block;
  if (typeof id !== 'string' || id === '') {
    throw new Unsupported(`${at}.tool_use_id`, 'A result must name the call that it answers.');
  }
  const parts: JsonObject[] = [];
  for (const { block: inner, place } of blocksOf(content, `${at}.content`)) {
    parts.push(...inputParts(inner, place, left));
  }
  return {
    role: 'tool',
    tool_call_id: id,
    content: contentOf(parts),
    ...(block['is_error'] === true ? { is_error: true } : {}),
    ...cacheOf(block),
  };
}

/** What one message of an assistant's brought together. */
interface Said {
  parts: JsonObject[];
  calls: JsonObject[];
  signed: ThinkingBlock[];
  thoughts: string[];
}

function assistantMessage(content: Json | undefined, at: string, left: Left): JsonObject {
  const said: Said = { parts: [], calls: [], signed: [], thoughts: [] };
  for (const { block, place } of blocksOf(content, at)) addSaid(said, block, place, left);
  const { parts, calls, signed, thoughts } = said;
  return {
    role: 'assistant',
    content: parts.length === 0 && calls.length > 0 ? null : contentOf(parts),
    ...(thoughts.length > 0 ? { reasoning_content: thoughts.join('\n\n') } : {}),
    ...(signed.length > 0 ? { thinking_blocks: signed.map((block) => ({ ...block })) } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

function addSaid(said: Said, block: JsonObject, at: string, left: Left): void {
  switch (block['type']) {
    case 'text':
      said.parts.push(...textPart(block, at));
      return;
    case 'thinking':
    case 'redacted_thinking': {
      const signed = readThinking(block);
      if (signed !== null) said.signed.push(signed);
      const { thinking } = block;
      if (typeof thinking === 'string' && thinking !== '') said.thoughts.push(thinking);
      return;
    }
    case 'tool_use':
      said.calls.push(toolCall(block, at));
      // Calls have no place for a marker; what stands before them has.
      if (Object.hasOwn(cacheOf(block), 'cache_control')) markOr(said.parts.at(-1), block, left);
      return;
    default:
      throw unknownBlock(block, at);
  }
}

function toolCall({ id, name, input }: JsonObject, at: string): JsonObject {
  if (typeof id !== 'string' || id === '') throw new Unsupported(`${at}.id`, 'A call of a tool needs an id.');
  if (typeof name !== 'string' || name === '') {
    throw new Unsupported(`${at}.name`, 'A call of a tool must name it.');
  }
  if (!isJsonObject(input)) throw new Unsupported(`${at}.input`, 'The input of a tool must be an object.');
  return { id, type: 'function', function: { name: shortName(name), arguments: JSON.stringify(input) } };
}

function markOr(part: JsonObject | undefined, block: JsonObject, left: Left): void {
  if (part === undefined) left.unless(false, 'cache_control');
  else Object.assign(part, cacheOf(block));
}

/** The request's own `cache_control` marks the last block that can carry a marker. */
function markLast(messages: JsonObject[], request: JsonObject): void {
  const mark = cacheOf(request);
  if (!Object.hasOwn(mark, 'cache_control')) return;
  for (const message of messages.toReversed()) {
    const { role, content } = message;
    const owner = role === 'tool' ? message : lastPart(message);
    if (owner === null) continue;
    const isMarked = Object.hasOwn(owner, 'cache_control') || (role === 'tool' && hasMark(content));
    if (!isMarked) Object.assign(owner, mark);
    return;
  }
}

/** The last part of a message's content, which becomes a list for it; null if there is none. */
function lastPart(message: JsonObject): JsonObject | null {
  const { content } = message;
  if (typeof content === 'string') {
    if (content === '') return null;
    const part: JsonObject = { type: 'text', text: content };
    message['content'] = [part];
    return part;
  }
  const last = Array.isArray(content) ? content.at(-1) : null;
  return isJsonObject(last) ? last : null;
}

function hasMark(content: Json | undefined): boolean {
  const last = Array.isArray(content) ? content.at(-1) : null;
  return isJsonObject(last) && Object.hasOwn(last, 'cache_control');
}
