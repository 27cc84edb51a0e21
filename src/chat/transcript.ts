import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';

/** An answer whose text is longer is not gone on with: more than any model writes. UTF-16 units. */
const LONGEST_TEXT = 4 * 1024 * 1024;

/** So many pieces are joined into one: each takes far more memory than the letter or two that it may bring. */
const PIECES = 256;

/** The members of a chunk that stay the same over all of an answer. */
const HEAD = ['id', 'object', 'created', 'model', 'system_fingerprint', 'service_tier'];

/**
 * What the client of a stream of chunks has been told, as far as another model must know to go on from there. Of one choice: answers with several are not
 * gone on with.
 */
export class Transcript {
  /** A thought was told. */
  reasoning = false;
  /** The role was told. */
  role = false;
  /** Of the first chunk: what says whose answer it is. */
  head: JsonObject | null = null;
  #blocks: string[] = [];
  #pieces: string[] = [];
  #length = 0;
  #blocked = false;

  /** Something was told that no other answer can go on from: a tool call, a refusal, a finish, sound, pictures, whatever is not known. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** UTF-16 units of text. */
  get length(): number {
    return this.#length;
  }

  get text(): string {
    return this.#blocks.join('') + this.#pieces.join('');
  }

  /** One that goes on from here; this one stays as it is. */
  fork(): Transcript {
    const fork = new Transcript();
    fork.reasoning = this.reasoning;
    fork.role = this.role;
    fork.head = this.head;
    fork.#blocks = [...this.#blocks];
    fork.#pieces = [...this.#pieces];
    fork.#length = this.#length;
    fork.#blocked = this.#blocked;
    return fork;
  }

  /** A chunk that the client is told. */
  note(chunk: JsonObject): void {
    const choices = chunk['choices'];
    if (this.#blocked || !Array.isArray(choices) || choices.length === 0) return;
    this.head ??= headOf(chunk);
    for (const choice of choices) if (isJsonObject(choice)) this.#noteChoice(choice);
  }

  #noteChoice({ index, delta, finish_reason: finish }: JsonObject): void {
    if ((index ?? 0) !== 0 || (finish ?? '') !== '') this.#block();
    if (!isJsonObject(delta)) return;
    for (const name in delta) {
      const value = delta[name];
      if (name === 'role') this.role = true;
      else if (isNothing(value)) continue;
      else if (name === 'content' && typeof value === 'string') this.#add(value);
      else if (isReasoning(name)) this.reasoning = true;
      else this.#block();
    }
  }

  #add(text: string): void {
    if (this.#blocked) return;
    this.#length += text.length;
    if (this.#length > LONGEST_TEXT) {
      this.#block();
      return;
    }
    if (this.#pieces.push(text) < PIECES) return;
    this.#blocks.push(this.#pieces.join(''));
    this.#pieces = [];
  }

  #block(): void {
    this.#blocked = true;
    this.#blocks = [];
    this.#pieces = [];
  }
}

/** DeepSeek's name for what a model thinks, that of Groq and newer vLLM, and OpenRouter's list. */
export function isReasoning(name: string): boolean {
  return name === 'reasoning_content' || name === 'reasoning' || name === 'reasoning_details';
}

/** A member of a delta that brings nothing. */
export function isNothing(value: Json | undefined): boolean {
  if (value === null || value === undefined || value === '' || value === false) return true;
  return Array.isArray(value) && value.length === 0;
}

function headOf(chunk: JsonObject): JsonObject {
  const head: JsonObject = {};
  for (const name of HEAD) if (chunk[name] !== undefined) head[name] = chunk[name];
  return head;
}
