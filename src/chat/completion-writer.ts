import type { Json, JsonObject } from '../core/json.ts';
import type { Usage } from '../core/usage.ts';
import { annotation, callHead, callId, HandBack, usageObject } from './completion-parts.ts';
import { googleExtra, type ThinkingBlock } from './extensions.ts';
import type { AnswerFacts, AnswerWriter, ChoiceWriter, Citation, FinishReason } from './writer.ts';

/** Writes an answer as one chat completion of OpenAI's. */
export class CompletionWriter implements AnswerWriter {
  readonly #facts: AnswerFacts;
  readonly #choices = new Map<number, MessageWriter>();
  readonly #extra: Record<string, Json> = {};
  #model: string;
  #usage: Usage | null = null;

  constructor(facts: AnswerFacts) {
    this.#facts = facts;
    this.#model = facts.model;
  }

  choice(index: number): MessageWriter {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = new MessageWriter(index, this.#facts);
      this.#choices.set(index, choice);
    }
    return choice;
  }

  model(name: string): void {
    if (name !== '') this.#model = name;
  }

  usage(usage: Usage): void {
    this.#usage = usage;
  }

  extra(name: string, value: JsonObject | string): void {
    this.#extra[name] = value;
  }

  /** There is an answer, and each of its choices has its finish. */
  get finished(): boolean {
    return this.#choices.size > 0 && [...this.#choices.values()].every(({ finished }) => finished);
  }

  completion(): JsonObject {
    const { id, created } = this.#facts;
    const choices = [...this.#choices].sort(([a], [b]) => a - b).map(([, choice]) => choice.choice());
    return {
      id,
      object: 'chat.completion',
      created,
      model: this.#model,
      choices,
      ...(this.#usage === null ? {} : { usage: usageObject(this.#usage) }),
      ...this.#extra,
    };
  }
}

class MessageWriter implements ChoiceWriter {
  readonly #index: number;
  readonly #facts: AnswerFacts;
  readonly #handBack = new HandBack();
  readonly #citations: Citation[] = [];
  readonly #logprobs: JsonObject[] = [];
  readonly #calls: { head: { name: string; thoughtSignature?: string }; id: string; args: string }[] = [];
  #text = '';
  #refusal = '';
  #reasoning = '';
  #signature: string | null = null;
  #finish: FinishReason | null = null;

  constructor(index: number, facts: AnswerFacts) {
    this.#index = index;
    this.#facts = facts;
  }

  get textLength(): number {
    return this.#text.length;
  }

  get hasToolCalls(): boolean {
    return this.#calls.length > 0;
  }

  get finished(): boolean {
    return this.#finish !== null;
  }

  text(fragment: string): void {
    if (!this.finished) this.#text += fragment;
  }

  refusal(fragment: string): void {
    if (!this.finished) this.#refusal += fragment;
  }

  reasoning(fragment: string): void {
    if (!this.finished) this.#reasoning += fragment;
  }

  thinkingBlock(block: ThinkingBlock): void {
    this.#handBack.blocks.push(block);
  }

  thoughtSignature(signature: string): void {
    this.#signature = signature;
  }

  toolCall(call: { id: string | null; name: string; thoughtSignature?: string }): number {
    const id = callId(call.id, this.#facts.newId);
    this.#handBack.call(id, call.thoughtSignature);
    return this.#calls.push({ head: call, id, args: '' }) - 1;
  }

  toolArguments(index: number, fragment: string): void {
    const call = this.#calls[index];
    if (call !== undefined && !this.finished) call.args += fragment;
  }

  citation(citation: Citation): void {
    this.#citations.push(citation);
  }

  logprobs(tokens: readonly JsonObject[]): void {
    if (this.finished) return;
    for (const token of tokens) this.#logprobs.push(token);
  }

  finish(reason: FinishReason): void {
    if (this.finished) return;
    this.#finish = reason;
    if (this.#index === 0) this.#handBack.remember(this.#facts.remember);
  }

  choice(): JsonObject {
    const message: Record<string, Json> = {
      role: 'assistant',
      content: this.#text === '' ? null : this.#text,
      refusal: this.#refusal === '' ? null : this.#refusal,
    };
    if (this.#reasoning !== '') message['reasoning_content'] = this.#reasoning;
    const { blocks } = this.#handBack;
    if (blocks.length > 0) message['thinking_blocks'] = blocks.map((block) => ({ ...block }));
    if (this.#calls.length > 0) {
      message['tool_calls'] = this.#calls.map(({ head, id, args }) =>
        callHead(id, head, args === '' ? '{}' : args),
      );
    }
    if (this.#citations.length > 0) message['annotations'] = this.#citations.map(annotation);
    if (this.#signature !== null) message['extra_content'] = googleExtra(this.#signature);
    const logprobs = this.#logprobs.length === 0 ? null : { content: this.#logprobs, refusal: null };
    return { index: this.#index, message, logprobs, finish_reason: this.#finish };
  }
}
