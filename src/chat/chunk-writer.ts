import type { Json, JsonObject } from '../core/json.ts';
import type { Usage } from '../core/usage.ts';
import { annotation, callHead, callId, HandBack, usageObject } from './completion-parts.ts';
import { googleExtra, type ThinkingBlock } from './extensions.ts';
import { noteSignedBefore } from './signed-before.ts';
import type { AnswerFacts, AnswerWriter, ChoiceWriter, Citation, FinishReason } from './writer.ts';

/** Where chunks go. */
export interface ChunkTarget {
  chunk(chunk: JsonObject): void;
  /** What the answer has taken so far, as soon as it is told: of a stream that breaks, nothing else is known. */
  usage?(usage: Usage): void;
}

/**
 * Writes an answer as chunks of OpenAI's chat completions, each well-formed by itself: the role first, tool calls with id, type and name before their
 * arguments, what must be handed back in one delta before the finish, usage last.
 */
export class ChunkWriter implements AnswerWriter {
  /** Where the next chunks go. */
  target: ChunkTarget;
  readonly #facts: AnswerFacts;
  readonly #choices = new Map<number, ChunkChoice>();
  readonly #extra: Record<string, Json> = {};
  #model: string;
  #begun = false;
  #usage: Usage | null = null;
  #ended = false;

  constructor(facts: AnswerFacts, target: ChunkTarget) {
    this.#facts = facts;
    this.#model = facts.model;
    this.target = target;
  }

  choice(index: number): ChunkChoice {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = new ChunkChoice(index, this.#facts, (delta, finish, signed, tokens) =>
        this.#write(index, delta, finish, signed, tokens),
      );
      this.#choices.set(index, choice);
    }
    return choice;
  }

  model(name: string): void {
    if (!this.#begun && name !== '') this.#model = name;
  }

  usage(usage: Usage): void {
    this.#usage = usage;
    this.target.usage?.(usage);
  }

  extra(name: string, value: JsonObject | string): void {
    this.#extra[name] = value;
  }

  /** All has come: tells the usage, if it is known. Only the first time. */
  end(): void {
    if (this.#ended || this.#usage === null) return;
    this.#ended = true;
    this.target.chunk({ ...this.#head(), choices: [], usage: usageObject(this.#usage) });
  }

  #write(
    index: number,
    delta: JsonObject,
    finish: FinishReason | null,
    signed: readonly ThinkingBlock[],
    tokens: JsonObject[] | null,
  ): void {
    this.#begun = true;
    const logprobs = tokens === null ? null : { content: tokens, refusal: null };
    const choice = { index, delta, logprobs, finish_reason: finish };
    const chunk: JsonObject = { ...this.#head(), choices: [choice] };
    noteSignedBefore(chunk, signed);
    this.target.chunk(chunk);
  }

  #head(): JsonObject {
    const { id, created } = this.#facts;
    return { id, object: 'chat.completion.chunk', created, model: this.#model, ...this.#extra };
  }
}

/** `signed`: blocks that were done before this delta, and are told in no delta yet. `tokens`: how likely those of this delta were; null = not told. */
type WriteDelta = (
  delta: JsonObject,
  finish: FinishReason | null,
  signed: readonly ThinkingBlock[],
  tokens: JsonObject[] | null,
) => void;

class ChunkChoice implements ChoiceWriter {
  textLength = 0;
  readonly #index: number;
  readonly #facts: AnswerFacts;
  readonly #write: WriteDelta;
  readonly #handBack = new HandBack();
  readonly #citations: Citation[] = [];
  /** Of each call: have arguments come? */
  readonly #calls: boolean[] = [];
  #signedNow: ThinkingBlock[] = [];
  #tokensNow: JsonObject[] | null = null;
  #signature: string | null = null;
  #begun = false;
  #finished = false;

  constructor(index: number, facts: AnswerFacts, write: WriteDelta) {
    this.#index = index;
    this.#facts = facts;
    this.#write = write;
  }

  get hasToolCalls(): boolean {
    return this.#calls.length > 0;
  }

  /** Its finish has been told: whatever comes after it is not. */
  get finished(): boolean {
    return this.#finished;
  }

  text(fragment: string): void {
    if (fragment === '') return;
    this.textLength += fragment.length;
    this.#delta({ content: fragment });
  }

  refusal(fragment: string): void {
    if (fragment !== '') this.#delta({ refusal: fragment });
  }

  reasoning(fragment: string): void {
    if (fragment !== '') this.#delta({ reasoning_content: fragment });
  }

  thinkingBlock(block: ThinkingBlock): void {
    this.#handBack.blocks.push(block);
    this.#signedNow.push(block);
  }

  thoughtSignature(signature: string): void {
    this.#signature = signature;
  }

  toolCall(call: { id: string | null; name: string; thoughtSignature?: string }): number {
    const index = this.#calls.push(false) - 1;
    const id = callId(call.id, this.#facts.newId);
    this.#handBack.call(id, call.thoughtSignature);
    this.#delta({ tool_calls: [{ index, ...callHead(id, call, '') }] });
    return index;
  }

  toolArguments(index: number, fragment: string): void {
    if (fragment === '' || this.#calls[index] === undefined) return;
    this.#calls[index] = true;
    this.#delta({ tool_calls: [{ index, function: { arguments: fragment } }] });
  }

  citation(citation: Citation): void {
    this.#citations.push(citation);
  }

  /** Of what is told next. */
  logprobs(tokens: readonly JsonObject[]): void {
    this.#tokensNow = [...(this.#tokensNow ?? []), ...tokens];
  }

  finish(reason: FinishReason): void {
    if (this.#finished) return;
    for (const [index, hasArguments] of this.#calls.entries()) {
      if (!hasArguments) this.toolArguments(index, '{}');
    }
    const last: Record<string, Json> = {};
    if (this.#citations.length > 0) last['annotations'] = this.#citations.map(annotation);
    if (this.#handBack.blocks.length > 0) {
      last['thinking_blocks'] = this.#handBack.blocks.map((block, index) => ({ index, ...block }));
    }
    if (this.#signature !== null) last['extra_content'] = googleExtra(this.#signature);
    if (Object.keys(last).length > 0) this.#delta(last);
    this.#begin();
    this.#finished = true;
    this.#tell({}, reason);
    // One answer's choices are alternatives: a client goes on from the first.
    if (this.#index === 0) this.#handBack.remember(this.#facts.remember);
  }

  #delta(delta: JsonObject): void {
    if (this.#finished) return;
    this.#begin();
    this.#tell(delta, null);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#write({ role: 'assistant', content: '' }, null, [], null);
  }

  #tell(delta: JsonObject, finish: FinishReason | null): void {
    const signed = this.#signedNow;
    const tokens = this.#tokensNow;
    this.#signedNow = [];
    this.#tokensNow = null;
    this.#write(delta, finish, signed, tokens);
  }
}
