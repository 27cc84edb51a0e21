import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../core/json.ts';
import type { AssistantTurn, ToolCall } from './conversation.ts';
import type { Recall, Remembered, ThinkingBlock } from './extensions.ts';
import { readCache, readTexts } from './read-parts.ts';
import { Unsupported } from './unsupported.ts';

/** An assistant message, with what its model must be handed back: from the message or, where the client lost it, from memory. */
export function readAssistant(message: JsonObject, at: string, recall: Recall): AssistantTurn {
  const parts = readTexts(message['content'], `${at}.content`, readCache(message));
  const refusal = message['refusal'];
  if (typeof refusal === 'string' && refusal !== '') {
    parts.push({ kind: 'text', text: refusal, cache: null, at: `${at}.refusal` });
  }
  const calls = readCalls(message, at);
  const remembered = calls.length === 0 ? null : recallFirst(calls, recall);
  const thinking = readThinking(message['thinking_blocks']);
  const reasoning = message['reasoning_content'] ?? message['reasoning'];
  return {
    role: 'assistant',
    thinking: thinking.length > 0 ? thinking : [...(remembered?.thinkingBlocks ?? [])],
    reasoning: typeof reasoning === 'string' && reasoning !== '' ? reasoning : null,
    parts,
    calls: remembered === null ? calls : calls.map((call) => withSignature(call, remembered)),
    thoughtSignature: signatureIn(message),
  };
}

function readCalls(message: JsonObject, at: string): ToolCall[] {
  const calls = message['tool_calls'];
  if (calls === undefined || calls === null) return readFormerCall(message['function_call'], at);
  if (!Array.isArray(calls)) throw new Unsupported(`${at}.tool_calls`, 'The tool calls must be a list.');
  return calls.map((call, index) => {
    const place = `${at}.tool_calls[${index}]`;
    const made = isJsonObject(call) ? call['function'] : null;
    if (!isJsonObject(call) || !isJsonObject(made) || typeof call['id'] !== 'string' || call['id'] === '') {
      throw new Unsupported(place, 'Only calls of functions, with an id, are supported.');
    }
    return { ...readFunction(made, place), id: call['id'], thoughtSignature: signatureIn(call) };
  });
}

/** What was a tool call before 2023. Its result names the function, so that is its id. */
function readFormerCall(call: Json | undefined, at: string): ToolCall[] {
  if (!isJsonObject(call)) return [];
  const made = readFunction(call, `${at}.function_call`);
  return [{ ...made, id: made.name, thoughtSignature: null }];
}

function readFunction(made: JsonObject, at: string): Pick<ToolCall, 'name' | 'input' | 'at'> {
  const { name, arguments: text } = made;
  if (typeof name !== 'string' || name === '') throw new Unsupported(at, 'A call must name its function.');
  const blank = text === undefined || text === null || (typeof text === 'string' && text.trim() === '');
  const input = blank ? {} : typeof text === 'string' ? tryParseJson(text) : text;
  // What a model wrote that is no JSON has no place in an object; it is kept so that the model can see what it did.
  return { name, input: isJsonObject(input) ? input : { arguments: (text ?? null) as Json }, at };
}

/** `extra_content.google.thought_signature`. */
function signatureIn(owner: JsonObject): string | null {
  const extra = owner['extra_content'];
  const google = isJsonObject(extra) ? extra['google'] : null;
  const signature = isJsonObject(google) ? google['thought_signature'] : null;
  return typeof signature === 'string' && signature !== '' ? signature : null;
}

function readThinking(blocks: Json | undefined): ThinkingBlock[] {
  if (!Array.isArray(blocks)) return [];
  return blocks.flatMap((block): ThinkingBlock[] => {
    if (!isJsonObject(block)) return [];
    const origin =
      block['origin'] === 'bedrock' || block['origin'] === 'anthropic' ? { origin: block['origin'] } : {};
    const { type, thinking, signature, data } = block;
    if (type === 'thinking' && typeof thinking === 'string' && typeof signature === 'string') {
      return [{ type, thinking, signature, ...origin } as ThinkingBlock];
    }
    if (type === 'redacted_thinking' && typeof data === 'string')
      return [{ type, data, ...origin } as ThinkingBlock];
    return [];
  });
}

/** The calls of one answer were remembered together. */
function recallFirst(calls: readonly ToolCall[], recall: Recall): Remembered | null {
  for (const { id } of calls) {
    const found = recall(id);
    if (found !== null) return found;
  }
  return null;
}

function withSignature(call: ToolCall, { thoughtSignatures }: Remembered): ToolCall {
  if (call.thoughtSignature !== null || !Object.hasOwn(thoughtSignatures, call.id)) return call;
  return { ...call, thoughtSignature: thoughtSignatures[call.id] ?? null };
}
