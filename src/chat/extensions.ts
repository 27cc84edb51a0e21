import type { JsonObject } from '../core/json.ts';

/**
 * What OpenAI's chat completions have no words for, and a tool loop cannot do without. An assistant message may carry, and our answers do:
 *
 * - `reasoning_content`: what the model thought, as text (DeepSeek's and vLLM's name for it)
 * - `thinking_blocks`: the same in signed blocks, to be handed back as they are. In a stream all of them come in one delta, each with its `index`,
 *   shortly before the finish: so the accumulators of both official SDKs keep them whole
 * - `tool_calls[].extra_content.google.thought_signature`: Google's own place for what its models must be handed back
 * - `extra_content.google.thought_signature` on the message: the same for a text
 *
 * A part of content, a tool and a tool message may carry `cache_control: {"type":"ephemeral","ttl":"5m"|"1h"}`, as Anthropic's blocks do; a tool
 * message may say `is_error: true`.
 */
export type ThinkingBlock =
  | { type: 'thinking'; thinking: string; signature: string; origin?: ThinkingOrigin }
  | { type: 'redacted_thinking'; data: string; origin?: ThinkingOrigin };

/**
 * Whose signature it is: no other model takes it. `anthropic`: Claude's, wherever it is hosted; left out = the same, since that is who invented the
 * blocks. `bedrock`: of another model there.
 */
export type ThinkingOrigin = 'anthropic' | 'bedrock';

/** What a model must be handed back with a tool call's result, if the client lost it. Kept by the ids of the calls of one answer. */
export interface Remembered {
  thinkingBlocks: readonly ThinkingBlock[];
  /** Google's, by the id of the call that it belongs to. */
  thoughtSignatures: Readonly<Record<string, string>>;
}

/** Looks up what was remembered of the answer that made this tool call. */
export type Recall = (callId: string) => Remembered | null;

/** Takes note of what an answer with tool calls must be handed back. */
export type Remember = (callIds: readonly string[], what: Remembered) => void;

/** `extra_content` with Google's signature in it. */
export function googleExtra(thoughtSignature: string): JsonObject {
  return { google: { thought_signature: thoughtSignature } };
}
