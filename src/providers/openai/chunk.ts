import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { ChunkKind, EventReader } from '../event-reader.ts';
import { Choices } from './choices.ts';
import { ChunkFrame, CUT_SHORT } from './chunk-frame.ts';
import { bringsSomething, type Output } from './output.ts';

/** Hundreds of times what a model can take or give: a report of more is a mistake. */
const MOST_TOKENS = 1e9;

/** A stream of which so many frames in a row fitted no second chunk has chunks of other kinds: no more are made. */
const MOST_IN_VAIN = 4;

/** What chunks say of the answer that they are of. */
const HEAD = ['id', 'object', 'created', 'model'];

/** The tool calls of a stream. */
interface ToolCalls {
  /** The choices that have begun to call one, and have not finished. */
  readonly calling: Set<number>;
  /** The calls whose beginning has come, as `choice.call`. */
  readonly begun: Set<string>;
}

/** Follows one stream of OpenAI chunks: what has begun, what has finished, what was used. */
export class ChunkReader implements EventReader {
  usage: Usage | null = null;
  /** What the upstream reported, from the first chunk that did. */
  model: string | null = null;
  /** The last `error`'s object: the whole event. */
  error: JsonObject | null = null;
  /** The chunk that was read last, if the host left out what clients rely on: with that put in. */
  mended: JsonObject | null = null;
  /** The chunk that was read last, parsed; null where it was no JSON object. */
  value: JsonObject | null = null;
  /** The chunk that was read last reports usage. */
  reportsUsage = false;
  /** How much the chunk that was read last brings, over all its choices. */
  readonly output: Output = { characters: 0, reasoning: 0 };
  readonly #expected: number;
  /** Whose answer it is: of the first chunk that says so, these members. */
  #head: JsonObject | null = null;
  readonly #choices = new Choices();
  /** Null: no tool was called yet. */
  #tools: ToolCalls | null = null;
  /** An event was damaged, so that something is missing. */
  #damaged = false;
  /** Of a chunk that was read: others are known by it. */
  #frame: ChunkFrame | null = null;
  /** The next chunk that is read is to give a frame. */
  #wantsFrame = false;
  /** How many frames in a row, up to this one, have fitted nothing. */
  #inVain = 0;

  /** `expected`: how many choices were asked for (`n`). */
  constructor(expected: number) {
    this.#expected = expected;
  }

  /** Every choice that was asked for has its finish reason. */
  get finished(): boolean {
    return this.#choices.unfinished === 0 && this.#choices.finished >= this.#expected;
  }

  /** Every choice that has begun has its finish reason, though a host may have given fewer than were asked for. */
  get finishedAllBegun(): boolean {
    return this.#choices.unfinished === 0 && this.#choices.finished > 0;
  }

  /** A tool call has begun whose choice has not finished: a lost event would be a lost piece of its arguments. */
  get callingTool(): boolean {
    return this.#tools !== null && this.#tools.calling.size > 0;
  }

  read(data: string, eventType: string): ChunkKind {
    this.#forget();
    if (data === '[DONE]') return 'done';
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch {
      return this.#readText(data.trim(), eventType);
    }
    if (!isJsonObject(chunk)) return eventType === 'error' ? this.#failed({ error: data }) : 'invalid';
    const kind = this.#readObject(chunk, eventType);
    if (this.#wantsFrame && kind === 'content') this.#takeFrame(data, chunk);
    return kind;
  }

  /** What a chunk does that has been read, it does not do anew when it comes again: so only its text counts. */
  readAlike(bytes: Buffer, start: number): number {
    const frame = this.#frame;
    const end = frame === null ? 0 : frame.fits(bytes, start);
    if (frame === null || end === 0) {
      this.#wantsFrame = this.#inVain < MOST_IN_VAIN;
      return 0;
    }
    if (end === CUT_SHORT) return 0;
    this.#inVain = 0;
    this.#forget();
    this.output.characters = frame.length;
    return end;
  }

  #takeFrame(data: string, chunk: JsonObject): void {
    this.#wantsFrame = false;
    // What was mended, or counted as usage, would be anew each time.
    if (this.mended !== null || this.reportsUsage) return;
    const frame = ChunkFrame.of(data, chunk);
    if (frame === null) return;
    this.#frame = frame;
    this.#inVain++;
  }

  /** One chunk that is parsed already, such as a translator's. */
  readValue(chunk: JsonObject): ChunkKind {
    this.#forget();
    return this.#readObject(chunk, '');
  }

  #forget(): void {
    this.value = null;
    this.mended = null;
    this.reportsUsage = false;
    this.output.characters = 0;
    this.output.reasoning = 0;
  }

  #readObject(chunk: JsonObject, eventType: string): ChunkKind {
    this.value = chunk;
    if (chunk['error'] || eventType === 'error') return this.#failed(chunk);
    const groq = chunk['x_groq'];
    if (isJsonObject(groq) && groq['error']) return this.#failed({ error: groq['error'] });
    const usage = chunk['usage'] ?? (isJsonObject(groq) ? groq['usage'] : undefined);
    if (isJsonObject(usage)) {
      this.usage = readUsage(usage);
      this.reportsUsage = true;
    }
    if (this.model === null && typeof chunk['model'] === 'string' && chunk['model'] !== '') {
      this.model = chunk['model'];
    }
    if (this.#head === null && chunk['id']) this.#head = headOf(chunk);
    const choices = chunk['choices'];
    if (Array.isArray(choices) && choices.length > 0) return this.#readChoices(choices, chunk);
    if (choices == null) {
      if (!isJsonObject(usage)) return isPing(chunk, eventType) ? 'ping' : 'foreign';
      chunk['choices'] = [];
      this.mended = chunk;
    } else if (!Array.isArray(choices)) return 'invalid';
    if (isJsonObject(usage)) return 'usage';
    // Azure begins with what its filters say of the prompt, on a chunk of nothing: clients that look at the first choice fail on it.
    return chunk['id'] === '' ? 'ping' : 'quiet';
  }

  #failed(error: JsonObject): 'error' {
    this.error = error;
    return 'error';
  }

  /** What is not JSON. */
  #readText(text: string, eventType: string): ChunkKind {
    if (eventType === 'error') return this.#failed({ error: text });
    if (text === '') return 'ping';
    if (text === '[DONE]') return 'done';
    this.#damaged = true;
    return 'invalid';
  }

  #readChoices(choices: readonly Json[], chunk: JsonObject): ChunkKind {
    if (!choices.every(isChoice)) return 'invalid';
    let kind: ChunkKind = 'quiet';
    for (const choice of choices as JsonObject[]) {
      const delta = choice['delta'];
      const finish = choice['finish_reason'];
      // OpenRouter puts the error of the host behind it into the choice.
      if (finish === 'error') return this.#failed(choice);
      if (delta == null || typeof choice['index'] !== 'number') this.#mend(choice, chunk);
      const index = choice['index'] as number;
      if (isJsonObject(delta) && bringsSomething(delta, this.output)) kind = 'content';
      // Some hosts write "" where there is none yet.
      if (typeof finish === 'string' && finish !== '') {
        kind = 'content';
        this.#tools?.calling.delete(index);
        this.#choices.finish(index);
      } else if (this.#choices.goesOn(index)) {
        if (isJsonObject(delta) && callsTool(delta)) {
          this.#tools ??= { calling: new Set(), begun: new Set() };
          this.#tools.calling.add(index);
          // Its beginning was lost, and what tool was called with it.
          if (!this.#begins(delta['tool_calls'], index, this.#tools.begun)) return 'invalid';
        }
      }
    }
    return kind;
  }

  /** Notes which calls begin; false if one of them goes on that has not begun. */
  #begins(calls: Json | undefined, choice: number, begun: Set<string>): boolean {
    if (!Array.isArray(calls)) return true;
    for (const call of calls) {
      if (!isJsonObject(call) || typeof call['index'] !== 'number') continue;
      const made = call['function'];
      if (call['id'] || (isJsonObject(made) && made['name'])) {
        // One was lost whole with the event that was damaged: an answer that calls less would look like this one.
        if (this.#damaged && Number(call['index']) > 0) {
          if (!begun.has(`${choice}.${Number(call['index']) - 1}`)) return false;
        }
        begun.add(`${choice}.${call['index']}`);
      } else if (!begun.has(`${choice}.${call['index']}`)) return false;
    }
    return true;
  }

  /**
   * SDKs read `choice.delta.…`; some hosts leave the delta out of the chunk that only finishes. Azure's filters also leave out whose answer it is
   * that they speak of.
   */
  #mend(choice: JsonObject, chunk: JsonObject): void {
    choice['delta'] ??= {};
    if (chunk['id'] === '' && this.#head !== null) {
      for (const name of HEAD) chunk[name] = this.#head[name] ?? chunk[name] ?? null;
    }
    if (typeof choice['index'] !== 'number') choice['index'] = 0;
    this.mended = chunk;
  }
}

/** Alone: the chunk with all its choices would last as long as the stream. */
function headOf(chunk: JsonObject): JsonObject {
  const head: JsonObject = {};
  for (const name of HEAD) if (chunk[name] !== undefined) head[name] = chunk[name];
  return head;
}

function isChoice(choice: Json): boolean {
  return isJsonObject(choice) && (choice['delta'] == null || isJsonObject(choice['delta']));
}

function isPing(event: JsonObject, eventType: string): boolean {
  return eventType === 'ping' || event['type'] === 'ping';
}

/** `function_call` is what tool calls were before 2024. */
function callsTool(delta: JsonObject): boolean {
  const calls = delta['tool_calls'];
  return (Array.isArray(calls) && calls.length > 0) || delta['function_call'] != null;
}

/**
 * OpenAI's usage object, with DeepSeek's name for cached tokens, and ours for those that Anthropic keeps for an hour. What it says of parts is held to
 * what it says of the whole.
 */
export function readUsage(usage: JsonObject): Usage {
  const promptDetails = usage['prompt_tokens_details'];
  const completionDetails = usage['completion_tokens_details'];
  const input = count(usage['prompt_tokens']);
  // What was written is dearer than what was read, so where they contradict each other it is believed first.
  const cacheWrite = isJsonObject(promptDetails)
    ? Math.min(count(promptDetails['cache_write_tokens']), input)
    : 0;
  const cached = isJsonObject(promptDetails)
    ? count(promptDetails['cached_tokens'])
    : count(usage['prompt_cache_hit_tokens']);
  const completion = count(usage['completion_tokens']);
  const reasoning = isJsonObject(completionDetails) ? count(completionDetails['reasoning_tokens']) : 0;
  // xAI counts reasoning beside the completion, which only the total tells. It is paid for like the rest of the output.
  const isBeside = count(usage['total_tokens']) === input + completion + reasoning;
  const output = isBeside ? completion + reasoning : completion;
  const read: Usage = {
    input,
    output,
    cached: Math.min(cached, input - cacheWrite),
    cacheWrite,
    reasoning: Math.min(reasoning, output),
  };
  const hour = isJsonObject(promptDetails) ? count(promptDetails['cache_write_1h_tokens']) : 0;
  if (hour > 0) read.cacheWriteHour = Math.min(hour, cacheWrite);
  return read;
}

/** 0 for what cannot be a number of tokens. */
function count(value: Json | undefined): number {
  return typeof value === 'number' && value > 0 && value <= MOST_TOKENS ? Math.round(value) : 0;
}
