import type { AssistantTurn, TextPart, ToolResult, UserTurn } from '../../chat/conversation.ts';
import type { ThinkingBlock } from '../../chat/extensions.ts';
import type { JsonObject } from '../../core/json.ts';
import { Unsupported } from '../adapter.ts';
import { callIdFor, toolNameFor } from './call-ids.ts';
import type { Blocks } from './content.ts';
import type { Target } from './target.ts';
import type { Settled } from './turns.ts';

/** A message with a document must have a text as well. */
const BESIDE_A_DOCUMENT = 'The document is attached.';
/** A result must not be empty. */
const NO_OUTPUT = '(no output)';

/** The messages of a request. Throws `Unsupported` for what the model cannot take. */
export function messagesOf({ turns }: Settled, target: Target, blocks: Blocks): JsonObject[] {
  const last = turns.at(-1);
  if (last?.role === 'assistant') {
    if (!target.capabilities.prefill || last.calls.length > 0) {
      throw new Unsupported('messages', "The last message must not be the assistant's.");
    }
    trimEnd(last);
    // A text to go on with has no thoughts before it: the model is not asked to think there.
    last.thinking = [];
  }
  return turns.map((turn) => {
    blocks.nextMessage();
    return turn.role === 'user' ? userMessage(turn, target, blocks) : assistantMessage(turn, target, blocks);
  });
}

/** A prefill that ends in white space is refused. */
function trimEnd(turn: AssistantTurn): void {
  const last = turn.parts.at(-1);
  if (last !== undefined) turn.parts.splice(-1, 1, { ...last, text: last.text.trimEnd() });
}

function userMessage(turn: UserTurn, target: Target, blocks: Blocks): JsonObject {
  // Results first, all of them: a call whose result comes after something else is taken for one without a result.
  const apart: JsonObject[] = [];
  const content = turn.results.flatMap((result) => resultBlocks(result, target, blocks, apart));
  content.push(...apart, ...turn.parts.flatMap((part) => blocks.part(part)));
  if (content.some((block) => 'document' in block) && !content.some((block) => 'text' in block)) {
    content.push({ text: BESIDE_A_DOCUMENT });
  }
  return { role: 'user', content };
}

/** `apart`: where goes what this model does not take inside of a result. */
function resultBlocks(
  { callId, parts, isError, cache, at }: ToolResult,
  target: Target,
  blocks: Blocks,
  apart: JsonObject[],
): JsonObject[] {
  const isRich = target.family === 'claude' || target.family === 'nova';
  const content: JsonObject[] = [];
  for (const part of parts) {
    if (part.kind === 'audio') throw new Unsupported(at, 'Audio in a tool result is not supported.');
    const block = blocks.bare(part);
    if (block === null) continue;
    if (part.kind === 'text' || isRich) content.push(block);
    else apart.push(block);
  }
  if (content.length === 0) content.push({ text: NO_OUTPUT });
  const marked = cache ?? parts.find((part) => part.cache !== null)?.cache ?? null;
  return [
    {
      toolResult: {
        toolUseId: callIdFor(target.family, callId),
        content,
        ...(isError && isRich ? { status: 'error' } : {}),
      },
    },
    ...blocks.cachePoint(marked),
  ];
}

function assistantMessage(turn: AssistantTurn, target: Target, blocks: Blocks): JsonObject {
  const content = turn.thinking.map(reasoningBlock);
  for (const part of turn.parts) content.push(...blocks.part(part));
  for (const { id, name, input } of turn.calls) {
    content.push({
      toolUse: { toolUseId: callIdFor(target.family, id), name: toolNameFor(name), input },
    });
  }
  return { role: 'assistant', content };
}

function reasoningBlock(block: ThinkingBlock): JsonObject {
  if (block.type === 'redacted_thinking') return { reasoningContent: { redactedContent: block.data } };
  return { reasoningContent: { reasoningText: { text: block.thinking, signature: block.signature } } };
}

export function systemBlocks(system: readonly TextPart[], blocks: Blocks): JsonObject[] {
  return system.flatMap((part) => blocks.part(part));
}
