import { sealReasoning } from '../../chat/sealed-reasoning.ts';
import type { JsonObject } from '../../core/json.ts';

/** Tells of one step; `type` is the event's, without "response." at its front. */
export type Emit = (type: string, fields: JsonObject) => void;

/** One item of an answer's output, which grows until it is closed. */
export interface OutputItem {
  /** Tells of what ends with it, and of its end. `whole`: nothing is missing of it. */
  close(whole: boolean): void;
  /** As it is now. */
  value(): JsonObject;
}

type Status = 'in_progress' | 'completed' | 'incomplete';

/** What the model thought: as a summary, which is where clients look for it, and sealed beside it what must be handed back. */
export class ReasoningItem implements OutputItem {
  readonly blocks: JsonObject[] = [];
  /** Google's signatures, by the ids of the calls. */
  readonly callSignatures = new Map<string, string>();
  textSignature: string | null = null;
  readonly #at: { item_id: string; output_index: number };
  readonly #emit: Emit;
  readonly #summary: string[] = [];
  #partIsOpen = false;
  #status: Status = 'in_progress';

  constructor(outputIndex: number, id: string, emit: Emit) {
    this.#at = { item_id: id, output_index: outputIndex };
    this.#emit = emit;
    emit('output_item.added', { output_index: outputIndex, item: this.value() });
  }

  text(fragment: string): void {
    if (!this.#partIsOpen) {
      this.#partIsOpen = true;
      const index = this.#summary.push('') - 1;
      this.#tell('reasoning_summary_part.added', index, { part: { type: 'summary_text', text: '' } });
    }
    const index = this.#summary.length - 1;
    this.#summary[index] += fragment;
    this.#tell('reasoning_summary_text.delta', index, { delta: fragment });
  }

  /** Something else follows, so the part is over; should the thought go on, it does so in another one. */
  pause(): void {
    if (!this.#partIsOpen) return;
    this.#partIsOpen = false;
    const index = this.#summary.length - 1;
    const text = this.#summary[index] ?? '';
    this.#tell('reasoning_summary_text.done', index, { text });
    this.#tell('reasoning_summary_part.done', index, { part: { type: 'summary_text', text } });
  }

  close(whole: boolean): void {
    this.pause();
    this.#status = whole ? 'completed' : 'incomplete';
    this.#emit('output_item.done', { output_index: this.#at.output_index, item: this.value() });
  }

  value(): JsonObject {
    const item: JsonObject = {
      id: this.#at.item_id,
      type: 'reasoning',
      status: this.#status,
      summary: this.#summary.map((text) => ({ type: 'summary_text', text })),
    };
    if (this.#status !== 'in_progress') {
      const { blocks: thinkingBlocks, callSignatures, textSignature } = this;
      item['encrypted_content'] = sealReasoning({ thinkingBlocks, callSignatures, textSignature });
    }
    return item;
  }

  #tell(type: string, index: number, fields: JsonObject): void {
    this.#emit(type, { ...this.#at, summary_index: index, ...fields });
  }
}

/** What the model said: a text, a refusal, or both, each a part of its own. */
export class MessageItem implements OutputItem {
  readonly #at: { item_id: string; output_index: number };
  readonly #emit: Emit;
  readonly #parts: (TextPart | RefusalPart)[] = [];
  #text: TextPart | null = null;
  #refusal: RefusalPart | null = null;
  #status: Status = 'in_progress';

  constructor(outputIndex: number, id: string, emit: Emit) {
    this.#at = { item_id: id, output_index: outputIndex };
    this.#emit = emit;
    emit('output_item.added', { output_index: outputIndex, item: this.value() });
  }

  text(fragment: string, tokens: readonly JsonObject[]): void {
    const part = this.#openText();
    part.text += fragment;
    part.tokens.push(...tokens);
    if (fragment === '' && tokens.length === 0) return;
    this.#tell('output_text.delta', part.index, { delta: fragment, logprobs: [...tokens] });
  }

  refusal(fragment: string): void {
    if (this.#refusal === null) {
      this.#refusal = new RefusalPart(this.#parts.length);
      this.#begin(this.#refusal);
    }
    this.#refusal.refusal += fragment;
    this.#tell('refusal.delta', this.#refusal.index, { delta: fragment });
  }

  annotation(annotation: JsonObject): void {
    const part = this.#openText();
    const index = part.annotations.push(annotation) - 1;
    this.#tell('output_text.annotation.added', part.index, { annotation_index: index, annotation });
  }

  close(whole: boolean): void {
    for (const part of this.#parts) {
      this.#tell(part.doneEvent, part.index, part.done());
      this.#tell('content_part.done', part.index, { part: part.value() });
    }
    this.#status = whole ? 'completed' : 'incomplete';
    this.#emit('output_item.done', { output_index: this.#at.output_index, item: this.value() });
  }

  value(): JsonObject {
    return {
      id: this.#at.item_id,
      type: 'message',
      status: this.#status,
      role: 'assistant',
      content: this.#parts.map((part) => part.value()),
    };
  }

  #openText(): TextPart {
    if (this.#text === null) {
      this.#text = new TextPart(this.#parts.length);
      this.#begin(this.#text);
    }
    return this.#text;
  }

  #begin(part: TextPart | RefusalPart): void {
    this.#parts.push(part);
    this.#tell('content_part.added', part.index, { part: part.value() });
  }

  #tell(type: string, index: number, fields: JsonObject): void {
    this.#emit(type, { ...this.#at, content_index: index, ...fields });
  }
}

class TextPart {
  readonly doneEvent = 'output_text.done';
  readonly index: number;
  readonly tokens: JsonObject[] = [];
  readonly annotations: JsonObject[] = [];
  text = '';

  constructor(index: number) {
    this.index = index;
  }

  done(): JsonObject {
    return { text: this.text, logprobs: this.tokens };
  }

  value(): JsonObject {
    const { text, annotations, tokens } = this;
    return { type: 'output_text', text, annotations: [...annotations], logprobs: [...tokens] };
  }
}

class RefusalPart {
  readonly doneEvent = 'refusal.done';
  readonly index: number;
  refusal = '';

  constructor(index: number) {
    this.index = index;
  }

  done(): JsonObject {
    return { refusal: this.refusal };
  }

  value(): JsonObject {
    return { type: 'refusal', refusal: this.refusal };
  }
}

/** A call of a function. It is opened when its name is known; what comes before that waits. */
export class CallItem implements OutputItem {
  /** The host's id, '' where it gave none. */
  readonly givenId: string;
  readonly callId: string;
  name = '';
  readonly #id: string;
  readonly #emit: Emit;
  #outputIndex = -1;
  #arguments = '';
  #status: Status = 'in_progress';

  constructor(givenId: string, callId: string, id: string, emit: Emit) {
    this.givenId = givenId;
    this.callId = callId;
    this.#id = id;
    this.#emit = emit;
  }

  get isOpen(): boolean {
    return this.#outputIndex >= 0;
  }

  open(outputIndex: number): void {
    const waiting = this.#arguments;
    this.#arguments = '';
    this.#outputIndex = outputIndex;
    this.#emit('output_item.added', { output_index: outputIndex, item: this.value() });
    this.arguments(waiting);
  }

  arguments(fragment: string): void {
    if (fragment === '') return;
    this.#arguments += fragment;
    if (this.isOpen) this.#tell('function_call_arguments.delta', { delta: fragment });
  }

  close(whole: boolean): void {
    // Clients parse them; some hosts write nothing where there are none.
    if (whole && this.#arguments === '') this.arguments('{}');
    this.#tell('function_call_arguments.done', { arguments: this.#arguments });
    this.#status = whole ? 'completed' : 'incomplete';
    this.#emit('output_item.done', { output_index: this.#outputIndex, item: this.value() });
  }

  value(): JsonObject {
    return {
      id: this.#id,
      type: 'function_call',
      status: this.#status,
      call_id: this.callId,
      name: this.name,
      arguments: this.#arguments,
    };
  }

  #tell(type: string, fields: JsonObject): void {
    this.#emit(type, { item_id: this.#id, output_index: this.#outputIndex, ...fields });
  }
}
