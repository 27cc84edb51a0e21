import type { JsonObject } from '../core/json.ts';
import type { Usage } from '../core/usage.ts';
import type { Remember, ThinkingBlock } from './extensions.ts';

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** What an answer is given that it may not make up itself. */
export interface AnswerFacts {
  /** `chatcmpl-…`. */
  id: string;
  /** Seconds since 1970. */
  created: number;
  /** The target's model: what is reported unless the upstream says another. */
  model: string;
  /** For tool calls that came without an id: a new one, never used before, without a prefix. */
  newId(): string;
  /** Told once the answer has finished with tool calls. */
  remember: Remember;
}

/** A link that an answer rests on. Offsets are characters of the content; both 0 where the provider gives none. */
export interface Citation {
  url: string;
  title: string;
  start: number;
  end: number;
}

/** One choice of an answer, piece by piece, in the order in which the upstream told it. Adapters call it; the same calls make a stream and a whole answer. */
export interface ChoiceWriter {
  text(fragment: string): void;
  refusal(fragment: string): void;
  reasoning(fragment: string): void;
  /** A signed block, whole. Its text has been told by `reasoning` before. */
  thinkingBlock(block: ThinkingBlock): void;
  /** Google's signature for this choice's text. */
  thoughtSignature(signature: string): void;
  /** A tool call begins. Returns its index for `toolArguments`. `id` null or '': the upstream gave none, and one is made. */
  toolCall(call: { id: string | null; name: string; thoughtSignature?: string }): number;
  /** The next piece of that call's arguments, as JSON text. A call that ends without any gets `{}`. */
  toolArguments(index: number, fragment: string): void;
  citation(citation: Citation): void;
  /** Of what is told next: how likely its tokens were, as OpenAI tells it: `{token, logprob, bytes, top_logprobs}`. */
  logprobs(tokens: readonly JsonObject[]): void;
  /** How many characters of text were told so far: where a citation may point to. */
  readonly textLength: number;
  readonly hasToolCalls: boolean;
  /** Once, last. */
  finish(reason: FinishReason): void;
}

/** Where an adapter tells an upstream's answer, in OpenAI's terms: a stream of chunks, or one completion. */
export interface AnswerWriter {
  /** By its index; begins it. Most answers have one, 0. */
  choice(index: number): ChoiceWriter;
  /** What the upstream reported as its model. Counts until the first piece. */
  model(name: string): void;
  /** What the answer took, once it is known; the last word counts. */
  usage(usage: Usage): void;
  /** A further top-level member of the answer, such as `service_tier`. */
  extra(name: string, value: JsonObject | string): void;
}
