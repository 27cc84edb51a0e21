import type { ModelCapabilities } from '../../capabilities/capabilities.ts';
import { MINTED_ID } from '../../chat/completion-parts.ts';
import type {
  AssistantTurn,
  Conversation,
  TextPart,
  ToolCall,
  ToolResult,
  Turn,
  UserTurn,
} from '../../chat/conversation.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Home } from './home.ts';
import { partOf } from './media.ts';

/** Google's documentation: what stands for a signature that is not there, such as where another model made the call. */
export const NO_SIGNATURE = 'skip_thought_signature_validator';

interface Contents {
  contents: JsonObject[];
  /** Parts of the system instruction. */
  system: JsonObject[];
}

/** The messages: `user` and `model` in turn, with what the system says by itself. */
export function contentsOf(
  { system, turns }: Conversation,
  capabilities: ModelCapabilities,
  home: Home,
): Contents {
  const instructions = [...system];
  const contents: { role: string; parts: JsonObject[] }[] = [];
  const add = (role: string, parts: JsonObject[]) => {
    const last = contents.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else if (parts.length > 0) contents.push({ role, parts });
  };
  for (const [index, turn] of turns.entries()) {
    if (turn.role === 'system') instructions.push(...turn.parts);
    else if (turn.role === 'assistant') add('model', modelParts(turn, capabilities, home));
    else add('user', userParts(turn, callsBefore(turns, index), capabilities, home));
  }
  if (contents.at(-1)?.role === 'model' && !capabilities.prefill) {
    throw new Unsupported('messages', 'The last message must not be one of the assistant.');
  }
  if (contents.length > 0) return { contents, system: instructions.map(textOf) };
  if (instructions.length === 0) {
    throw new Unsupported('messages', 'There must be a message with something in it.');
  }
  // There is no answer to instructions alone.
  return { contents: [{ role: 'user', parts: instructions.map(textOf) }], system: [] };
}

function textOf({ text }: TextPart): JsonObject {
  return { text };
}

/** The calls that a user turn's results answer. */
function callsBefore(turns: readonly Turn[], index: number): readonly ToolCall[] {
  const before = turns[index - 1];
  return before?.role === 'assistant' ? before.calls : [];
}

function userParts(
  { results, parts }: UserTurn,
  calls: readonly ToolCall[],
  capabilities: ModelCapabilities,
  home: Home,
): JsonObject[] {
  // Without ids, results of the same function are told apart by their order.
  const placeOf = ({ callId }: ToolResult) => {
    const place = calls.findIndex(({ id }) => id === callId);
    return place < 0 ? calls.length : place;
  };
  const inOrder = [...results].sort((a, b) => placeOf(a) - placeOf(b));
  const responses = inOrder.map((result) => responseOf(result, capabilities, home));
  return [
    ...responses.map(({ response }) => response),
    ...responses.flatMap(({ beside }) => beside),
    ...parts.map((part) => partOf(part, capabilities)),
  ];
}

/** A tool's result; `beside`: what of it must stand after all results. */
function responseOf(
  { callId, name, parts, isError, at }: ToolResult,
  capabilities: ModelCapabilities,
  home: Home,
): { response: JsonObject; beside: JsonObject[] } {
  if (name === null) {
    throw new Unsupported(at, 'A tool message must follow the call that it answers.');
  }
  const text = parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n');
  const media = parts.filter((part) => part.kind !== 'text').map((part) => partOf(part, capabilities));
  // Models from 3 on take pictures within a result.
  const within = media.length > 0 && capabilities.thinkingConfig === 'level';
  const response = {
    functionResponse: {
      ...idOf(callId, name, home),
      name,
      response: isError ? { error: text } : { output: text },
      ...(within ? { parts: media } : {}),
    },
  };
  return { response, beside: within ? [] : media };
}

function modelParts(turn: AssistantTurn, capabilities: ModelCapabilities, home: Home): JsonObject[] {
  const { parts, calls } = turn;
  const ofTurn = validSignature(turn.thoughtSignature);
  const texts = parts.map(({ text }, index): JsonObject => {
    const isLast = index === parts.length - 1;
    return isLast && ofTurn !== null ? { text, thoughtSignature: ofTurn } : { text };
  });
  const made = calls.map(({ id, name, input, thoughtSignature }, index): JsonObject => {
    const own = validSignature(thoughtSignature) ?? (index === 0 && texts.length === 0 ? ofTurn : null);
    const lost = index === 0 && own === null && capabilities.thinkingConfig === 'level';
    const signature = lost ? NO_SIGNATURE : own;
    return {
      functionCall: { ...idOf(id, name, home), name, args: input },
      ...(signature === null ? {} : { thoughtSignature: signature }),
    };
  });
  return [...texts, ...made];
}

/** Of the letters that signatures are written in: another text would make the whole request invalid. */
function validSignature(signature: string | null): string | null {
  return signature !== null && /^[A-Za-z0-9+/_-]+={0,2}$/.test(signature) ? signature : null;
}

/** How ids begin that others give: ours, OpenAI's, Anthropic's, Bedrock's, vLLM's. */
const FOREIGN_IDS = [MINTED_ID, 'call_', 'toolu_', 'tooluse_', 'chatcmpl-', 'fc_'];

/** The id of a call, where Google gave it: it knows no others, and needs none. */
function idOf(id: string, name: string, { takesCallIds }: Home): { id?: string } {
  const isTheirs = takesCallIds && id !== name && !FOREIGN_IDS.some((beginning) => id.startsWith(beginning));
  return isTheirs ? { id } : {};
}
