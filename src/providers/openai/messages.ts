import type { Recall } from '../../chat/extensions.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { HostQuirks } from '../presets.ts';
import { hostParts } from './host-parts.ts';

/**
 * The messages as this host takes them, or null where nothing needs to change. What is left out is only what chat completions do not have: members
 * that our answers and those of other hosts carry, so that a conversation begun elsewhere can go on here.
 */
export function fitMessages(given: readonly Json[], quirks: HostQuirks, recall: Recall): Json[] | null {
  const mustReason = quirks.needsReasoning && given.some(callsTools);
  let fitted = hostParts(given);
  const messages = fitted ?? given;
  for (let at = 0; at < messages.length; at++) {
    const message = messages[at] as Json;
    if (!isJsonObject(message) || isPlainText(message)) continue;
    const changed = fitMessage(message, quirks, mustReason, recall);
    if (changed === message) continue;
    fitted ??= [...messages];
    fitted[at] = changed;
  }
  return fitted;
}

/** What most messages are, and every host takes as it is. */
function isPlainText(message: JsonObject): boolean {
  const role = message['role'];
  if ((role !== 'user' && role !== 'system') || typeof message['content'] !== 'string') return false;
  for (const name in message) if (name !== 'role' && name !== 'content') return false;
  return true;
}

/** Tools without what the host does not take; null where nothing needs to change. */
export function fitTools(tools: readonly Json[], { leavesOut }: HostQuirks): Json[] | null {
  return leavesOut.has('cache_control') ? without(tools, 'cache_control') : null;
}

function fitMessage(
  message: JsonObject,
  quirks: HostQuirks,
  mustReason: boolean,
  recall: Recall,
): JsonObject {
  let fitted = message;
  const set = (name: string, value: Json | undefined) => {
    if (fitted === message) fitted = { ...message };
    if (value === undefined) delete fitted[name];
    else fitted[name] = value;
  };
  const role = message['role'];
  if (role === 'developer' && !quirks.developerRole) set('role', 'system');
  if (role === 'assistant') handBackReasoning(message, quirks, mustReason, recall, set);
  for (const name in message) if (quirks.leavesOut.has(name)) set(name, undefined);
  // The same thoughts that were signed for another model.
  if (quirks.reasoning === null && quirks.leavesOut.has('thinking_blocks') && 'thinking_blocks' in message) {
    if (Object.hasOwn(message, 'reasoning_content')) set('reasoning_content', undefined);
  }
  if (quirks.closedMessages) closeMessage(message, set);
  const { content, tool_calls: calls } = message;
  if (quirks.leavesOut.has('cache_control') && Array.isArray(content)) {
    const parts = without(content, 'cache_control');
    if (parts !== null) set('content', parts);
  }
  if (quirks.leavesOut.has('extra_content') && Array.isArray(calls)) {
    const bare = without(calls, 'extra_content');
    if (bare !== null) set('tool_calls', bare);
  }
  return fitted;
}

type SetMember = (name: string, value: Json | undefined) => void;

/** The model's thoughts, under the name by which this host takes them back. */
function handBackReasoning(
  message: JsonObject,
  quirks: HostQuirks,
  mustReason: boolean,
  recall: Recall,
  set: SetMember,
): void {
  const name = quirks.reasoning;
  if (name === null || hasText(message[name])) return;
  if (name === 'reasoning_details') {
    const blocks = message['thinking_blocks'];
    if (message[name] === undefined && Array.isArray(blocks)) {
      const details = blocks.flatMap(asDetail);
      if (details.length > 0) set(name, details);
    }
    return;
  }
  const told = message[name === 'reasoning' ? 'reasoning_content' : 'reasoning'];
  if (hasText(told)) set(name, told as string);
  // A space is the least that DeepSeek takes.
  else if (mustReason) set(name, rememberedText(message, recall) || ' ');
}

/** A signed block in OpenRouter's words. */
function asDetail(block: Json, index: number): JsonObject[] {
  if (!isJsonObject(block) || (block['origin'] ?? 'anthropic') !== 'anthropic') return [];
  const { type, thinking, signature, data } = block;
  const format = 'anthropic-claude-v1';
  if (type === 'thinking' && typeof thinking === 'string' && typeof signature === 'string')
    return [{ type: 'reasoning.text', text: thinking, signature, format, index }];
  if (type === 'redacted_thinking' && typeof data === 'string')
    return [{ type: 'reasoning.encrypted', data, format, index }];
  return [];
}

/** What is remembered of the thoughts before these calls: clients drop what they do not know. */
function rememberedText(message: JsonObject, recall: Recall): string {
  const calls = message['tool_calls'];
  if (!Array.isArray(calls)) return '';
  for (const call of calls) {
    const id = isJsonObject(call) ? call['id'] : null;
    const remembered = typeof id === 'string' ? recall(id) : null;
    if (remembered === null) continue;
    return remembered.thinkingBlocks
      .flatMap((block) => (block.type === 'thinking' ? [block.thinking] : []))
      .join('');
  }
  return '';
}

/** What OpenAI's answers have beyond what a closed schema takes. A refusal is what the model said, so it stays as that. */
function closeMessage(message: JsonObject, set: SetMember): void {
  const { refusal, annotations, audio, function_call: call, content } = message;
  if (refusal !== undefined) {
    set('refusal', undefined);
    if (hasText(refusal) && content == null) set('content', refusal);
  }
  if (annotations !== undefined) set('annotations', undefined);
  if (audio === null) set('audio', undefined);
  if (call === null) set('function_call', undefined);
  if (message['tool_calls'] === null) set('tool_calls', undefined);
}

/** The same objects without that member; null if none has it. */
function without(objects: readonly Json[], name: string): Json[] | null {
  if (!objects.some((object) => isJsonObject(object) && Object.hasOwn(object, name))) return null;
  return objects.map((object) => {
    if (!isJsonObject(object) || !Object.hasOwn(object, name)) return object;
    const { [name]: _, ...rest } = object;
    return rest;
  });
}

function callsTools(message: Json): boolean {
  const calls = isJsonObject(message) ? message['tool_calls'] : null;
  return Array.isArray(calls) && calls.length > 0;
}

function hasText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '';
}
