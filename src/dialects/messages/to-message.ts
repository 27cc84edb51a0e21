import type { ThinkingBlock } from '../../chat/extensions.ts';
import { presentThinking } from '../../chat/signed-thinking.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { readUsage } from '../../providers/openai/chunk.ts';
import {
  citationOf,
  emptyMessage,
  messageUsage,
  reasoningOf,
  stopDetails,
  stopReason,
  textIn,
  textOf,
  toolInput,
} from './answer-parts.ts';
import { showsThinking } from './effort.ts';
import { ToolNames } from './tool-names.ts';

/** A whole chat completion as Anthropic's message. `request`: the client's own. `id` without a prefix. */
export function toMessage(completion: JsonObject, request: JsonObject, id: string): JsonObject {
  const { choices, usage, model } = completion;
  const choice = Array.isArray(choices) ? choices[0] : null;
  const { message, finish_reason: finish } = isJsonObject(choice) ? choice : {};
  const said = isJsonObject(message) ? message : {};
  const calls = toolBlocks(said['tool_calls'], new ToolNames(request), id);
  const refusal = textIn(said['refusal']);
  const reason = stopReason(finish, calls.length > 0, refusal !== '');
  const thinking = showsThinking(request) ? thinkingBlocks(said) : [];
  return {
    ...emptyMessage(id, typeof model === 'string' && model !== '' ? model : textIn(request['model']), null),
    content: [...thinking, ...textBlocks(said, refusal), ...calls],
    stop_reason: reason,
    stop_details: stopDetails(reason, refusal),
    usage: messageUsage(isJsonObject(usage) ? readUsage(usage) : null, completion['service_tier']),
  };
}

function thinkingBlocks(message: JsonObject): JsonObject[] {
  const signed = signedBlocks(message['thinking_blocks']);
  if (signed.length > 0) return signed.map(presentThinking);
  const reasoning = reasoningOf(message);
  return reasoning === '' ? [] : [{ type: 'thinking', thinking: reasoning, signature: '' }];
}

/** The blocks that a model signed, or null-free what there is of them. */
export function signedBlocks(blocks: Json | undefined): ThinkingBlock[] {
  if (!Array.isArray(blocks)) return [];
  return blocks.flatMap((block): ThinkingBlock[] => {
    if (!isJsonObject(block)) return [];
    const { type, thinking, signature, data } = block;
    const origin = block['origin'] === 'bedrock' ? { origin: 'bedrock' as const } : {};
    if (type === 'thinking' && typeof signature === 'string' && signature !== '') {
      return [{ type, thinking: textIn(thinking), signature, ...origin }];
    }
    return type === 'redacted_thinking' && typeof data === 'string' ? [{ type, data, ...origin }] : [];
  });
}

function textBlocks(message: JsonObject, refusal: string): JsonObject[] {
  const text = `${textOf(message['content'])}${refusal}`;
  if (text === '') return [];
  const { annotations } = message;
  const citations = (Array.isArray(annotations) ? annotations : [])
    .map(citationOf)
    .filter((one) => one !== null);
  // Without citations there is no member, as Anthropic has it: schemas of clients refuse a null.
  return [{ type: 'text', text, ...(citations.length > 0 ? { citations } : {}) }];
}

function toolBlocks(calls: Json | undefined, names: ToolNames, answerId: string): JsonObject[] {
  if (!Array.isArray(calls)) return [];
  return calls.filter(isJsonObject).map((call, index) => {
    const made = isJsonObject(call['function']) ? call['function'] : {};
    const { name, arguments: input } = made;
    return {
      type: 'tool_use',
      id: textIn(call['id']) || mintedId(answerId, index),
      name: names.original(textIn(name)),
      // Some hosts give an object in place of its text.
      input: isJsonObject(input) ? input : toolInput(textIn(input)),
      caller: { type: 'direct' },
    };
  });
}

/** For a call that came without an id. */
export function mintedId(answerId: string, index: number): string {
  return `toolu_${answerId}_${index}`;
}
