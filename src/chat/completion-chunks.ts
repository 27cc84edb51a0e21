import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { ThinkingBlock } from './extensions.ts';
import { noteSignedBefore } from './signed-before.ts';

/** Texts are told in pieces of at most so many UTF-16 units: some clients take no event that is longer than 64 KiB. */
const PIECE = 4096;

/** What every chunk says of the answer that it belongs to. */
const HEAD = ['id', 'object', 'created', 'model', 'system_fingerprint', 'service_tier'];

/**
 * The chunks that a stream would have brought a whole chat completion in: of each choice the role, what was thought, the text, a refusal, the tool calls,
 * what else the message has, and the finish; the usage last. Whatever the completion lacks or has beyond OpenAI's words, so do they.
 */
export function completionChunks(completion: JsonObject): JsonObject[] {
  const head: JsonObject = {};
  for (const name of HEAD) if (completion[name] !== undefined) head[name] = completion[name];
  head['object'] = 'chat.completion.chunk';
  const choices = Array.isArray(completion['choices']) ? completion['choices'].filter(isJsonObject) : [];
  const chunks = choices.flatMap((choice, at) => new ChoiceChunks(head, choice, at).chunks);
  const last = chunks.at(-1);
  if (last !== undefined) Object.assign(last, othersOf(completion, [...HEAD, 'choices', 'usage']));
  const { usage } = completion;
  if (isJsonObject(usage)) chunks.push({ ...head, choices: [], usage });
  return chunks;
}

/** There is an answer, and each of its choices has its finish. */
export function isFinished({ choices }: JsonObject): boolean {
  if (!Array.isArray(choices) || choices.length === 0) return false;
  return choices.every((choice) => {
    const finish = isJsonObject(choice) ? choice['finish_reason'] : null;
    return typeof finish === 'string' && finish !== '';
  });
}

/** Of one choice. */
class ChoiceChunks {
  readonly chunks: JsonObject[] = [];
  readonly #head: JsonObject;
  readonly #index: number;
  /** They belong to the text where there is one, else to whatever is told last. */
  #logprobs: Json;
  #signed: ThinkingBlock[] = [];

  constructor(head: JsonObject, choice: JsonObject, at: number) {
    this.#head = head;
    this.#index = typeof choice['index'] === 'number' ? choice['index'] : at;
    this.#logprobs = choice['logprobs'] ?? null;
    this.#tell(choice, isJsonObject(choice['message']) ? choice['message'] : {});
  }

  #tell(choice: JsonObject, message: JsonObject): void {
    const { role, content, reasoning_content: thought, refusal, tool_calls: calls, ...others } = message;
    const blocks = others['thinking_blocks'];
    this.#delta({ role: role ?? 'assistant', content: content === null && calls != null ? null : '' });
    this.#think(thought, Array.isArray(blocks) ? blocks.filter(isThinkingBlock) : []);
    this.#text('content', content);
    this.#text('refusal', refusal);
    if (Array.isArray(calls)) for (const [index, call] of calls.entries()) this.#call(call, index);
    for (const [name, value] of Object.entries(others)) {
      if (name !== 'thinking_blocks') this.#text(name, value);
    }
    if (Array.isArray(blocks) && blocks.length > 0) this.#delta({ thinking_blocks: blocks.map(numbered) });
    const finish = choice['finish_reason'] ?? null;
    const rest = othersOf(choice, ['index', 'message', 'logprobs', 'finish_reason']);
    this.#write({ delta: {}, logprobs: this.#logprobs, finish_reason: finish, ...rest });
  }

  /** Where the blocks are the thought, each is signed when it has been told. */
  #think(thought: Json | undefined, blocks: readonly ThinkingBlock[]): void {
    const texts = blocks.map((block) => (block.type === 'thinking' ? block.thinking : ''));
    if (texts.join('') === thought) {
      for (const [at, block] of blocks.entries()) {
        this.#text('reasoning_content', texts[at]);
        this.#signed.push(block);
      }
    } else {
      this.#text('reasoning_content', thought);
      this.#signed.push(...blocks);
    }
  }

  /** A member of the message: in pieces if it is a text, else as it is. */
  #text(name: string, value: Json | undefined): void {
    if (value === null || value === undefined || value === '') return;
    if (typeof value !== 'string') this.#delta({ [name]: value });
    else for (const piece of pieces(value)) this.#delta({ [name]: piece });
  }

  #call(call: Json, index: number): void {
    if (!isJsonObject(call)) return;
    const made = call['function'];
    if (!isJsonObject(made) || typeof made['arguments'] !== 'string') {
      this.#delta({ tool_calls: [{ index, ...call }] });
      return;
    }
    this.#delta({ tool_calls: [{ ...call, index, function: { ...made, arguments: '' } }] });
    for (const piece of pieces(made['arguments'])) {
      this.#delta({ tool_calls: [{ index, function: { arguments: piece } }] });
    }
  }

  #delta(delta: JsonObject): void {
    const isText = typeof delta['content'] === 'string' && delta['content'] !== '';
    const logprobs = isText ? this.#logprobs : null;
    if (isText) this.#logprobs = null;
    this.#write({ delta, logprobs, finish_reason: null });
  }

  #write(choice: JsonObject): void {
    const chunk = { ...this.#head, choices: [{ index: this.#index, ...choice }] };
    noteSignedBefore(chunk, this.#signed);
    this.#signed = [];
    this.chunks.push(chunk);
  }
}

/** Cut between letters: of one that takes two units, half would be sent as a question mark. */
function* pieces(text: string): Iterable<string> {
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + PIECE);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last < 0xdc00) to -= 1;
    yield text.slice(from, to);
    from = to;
  }
}

function numbered(block: Json, index: number): Json {
  return isJsonObject(block) ? { index, ...block } : block;
}

function isThinkingBlock(block: Json): block is ThinkingBlock & JsonObject {
  if (!isJsonObject(block)) return false;
  return block['type'] === 'thinking'
    ? typeof block['thinking'] === 'string' && typeof block['signature'] === 'string'
    : block['type'] === 'redacted_thinking' && typeof block['data'] === 'string';
}

function othersOf(value: JsonObject, known: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !known.includes(name)));
}
