import type { Effort } from '../capabilities/capabilities.ts';
import type { JsonObject } from '../core/json.ts';
import type { ThinkingBlock } from './extensions.ts';

/** A marker for the provider's prompt cache: what stands before and up to it is to be kept. */
export interface CacheMark {
  /** Null = as long as the provider keeps it by itself. */
  ttl: '5m' | '1h' | null;
}

/** Bytes as base64, with their media type; or where they are. */
export type Source = { kind: 'data'; mediaType: string; data: string } | { kind: 'url'; url: string };

/** `at`: where it stands in the request, such as `messages[2].content[0]`. Never empty texts: those are left out. */
export type TextPart = { kind: 'text'; text: string; cache: CacheMark | null; at: string };
export type ImagePart = {
  kind: 'image';
  source: Source;
  detail: string | null;
  cache: CacheMark | null;
  at: string;
};
/** `format`: `wav` or `mp3`. `data`: base64. */
export type AudioPart = { kind: 'audio'; format: string; data: string; cache: CacheMark | null; at: string };
export type FilePart = {
  kind: 'file';
  source: Source;
  name: string | null;
  cache: CacheMark | null;
  at: string;
};
export type Part = TextPart | ImagePart | AudioPart | FilePart;

/** What a tool answered. `name`: of the tool that was called, looked up by the call's id; null if no call has it. */
export interface ToolResult {
  callId: string;
  name: string | null;
  parts: Part[];
  isError: boolean;
  cache: CacheMark | null;
  at: string;
}

export interface ToolCall {
  id: string;
  name: string;
  /** The arguments, parsed; `""` is `{}`. */
  input: JsonObject;
  /** Google's signature. */
  thoughtSignature: string | null;
  at: string;
}

/** Turns of user and assistant follow each other in turn: messages of the same role in a row are one. */
export type Turn = UserTurn | AssistantTurn | SystemTurn;

/** Results of tools first, in the order of the messages. */
export interface UserTurn {
  role: 'user';
  results: ToolResult[];
  parts: Part[];
}

export interface AssistantTurn {
  role: 'assistant';
  /** Signed blocks, of whatever origin, from the message or else from memory. */
  thinking: ThinkingBlock[];
  /** `reasoning_content`, unsigned. */
  reasoning: string | null;
  parts: TextPart[];
  calls: ToolCall[];
  /** Google's, of the text. */
  thoughtSignature: string | null;
}

/** A system or developer message after the first other one. Each stands right after a user turn or another system turn; `hoisted` moves them all. */
export interface SystemTurn {
  role: 'system';
  parts: TextPart[];
}

export interface Tool {
  name: string;
  description: string | null;
  /** Null: it takes none. */
  parameters: JsonObject | null;
  strict: boolean | null;
  cache: CacheMark | null;
  at: string;
}

export type ToolChoice =
  | { kind: 'auto' }
  | { kind: 'none' }
  | { kind: 'required' }
  | { kind: 'named'; name: string };

export type ResponseFormat =
  | { kind: 'text' }
  | { kind: 'json' }
  | { kind: 'schema'; name: string; schema: JsonObject; strict: boolean | null };

/** A chat completions request in a form that is easy to map: read by `readConversation`, which is where its many spellings end. */
export interface Conversation {
  /** Of the leading system and developer messages. */
  system: TextPart[];
  turns: Turn[];
  tools: Tool[];
  /** Null: not said. */
  toolChoice: ToolChoice | null;
  parallelToolCalls: boolean | null;
  /** `max_completion_tokens`, else `max_tokens`. */
  maxTokens: number | null;
  temperature: number | null;
  topP: number | null;
  topK: number | null;
  stop: string[];
  seed: number | null;
  presencePenalty: number | null;
  frequencyPenalty: number | null;
  /** 1 where it is not said. */
  n: number;
  logprobs: boolean;
  topLogprobs: number | null;
  responseFormat: ResponseFormat;
  reasoningEffort: Effort | null;
  /** Tokens of thought that the client allows, where its dialect counts them. */
  thinkingBudget: number | null;
  /** `safety_identifier`, else `user`. */
  user: string | null;
  /** Texts only. */
  metadata: Record<string, string> | null;
  serviceTier: string | null;
  /** Top-level members that are none of the above, with something in them: each adapter decides (`store`, `logit_bias`, `verbosity`, `thinking` …). */
  others: JsonObject;
}
