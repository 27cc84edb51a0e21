import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';

/**
 * What an event of a stream turned out to be.
 * - `content`: brings the client something: text, a piece of a tool call, reasoning, a finish
 * - `quiet`: well-formed, but brings nothing yet (a role, an empty delta)
 * - `usage`: only reports usage
 * - `error`: an error object; see `error`
 * - `done`: the end mark
 * - `invalid`: not a chunk at all
 */
export type ChunkKind = 'content' | 'quiet' | 'usage' | 'error' | 'done' | 'invalid';

/** Follows one stream of OpenAI chunks: what has begun, what has finished, what was used. */
export class ChunkReader {
  usage: Usage | null = null;
  /** What the upstream reported, from the first chunk that did. */
  model: string | null = null;
  /** The last `error`'s object: the whole event. */
  error: JsonObject | null = null;
  readonly #expected: number;
  readonly #unfinished = new Set<number>();
  readonly #finished = new Set<number>();
  readonly #callingTools = new Set<number>();

  /** `expected`: how many choices were asked for (`n`). */
  constructor(expected: number) {
    this.#expected = expected;
  }

  /** Every choice that was asked for has its finish reason. */
  get finished(): boolean {
    return this.#unfinished.size === 0 && this.#finished.size >= this.#expected;
  }

  /** Every choice that has begun has its finish reason, though a host may have given fewer than were asked for. */
  get finishedAllBegun(): boolean {
    return this.#unfinished.size === 0 && this.#finished.size > 0;
  }

  /** A tool call has begun whose choice has not finished: a lost event would be a lost piece of its arguments. */
  get callingTool(): boolean {
    return this.#callingTools.size > 0;
  }

  read(data: string, eventType: string): ChunkKind {
    if (data === '[DONE]') return 'done';
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch {
      return data.trim() === '[DONE]' ? 'done' : 'invalid';
    }
    if (!isJsonObject(chunk)) return 'invalid';
    if (eventType === 'error' || isError(chunk)) {
      this.error = chunk;
      return 'error';
    }
    const choices = chunk['choices'];
    if (!Array.isArray(choices)) return 'invalid';
    if (this.model === null && typeof chunk['model'] === 'string' && chunk['model'] !== '') {
      this.model = chunk['model'];
    }
    const usage = chunk['usage'] ?? groqUsage(chunk);
    if (isJsonObject(usage)) this.usage = readUsage(usage);
    if (choices.length === 0) return isJsonObject(usage) ? 'usage' : 'quiet';
    return this.#readChoices(choices, chunk);
  }

  #readChoices(choices: readonly Json[], chunk: JsonObject): ChunkKind {
    if (!choices.every(isChoice)) return 'invalid';
    let kind: ChunkKind = 'quiet';
    for (const choice of choices as JsonObject[]) {
      const index = typeof choice['index'] === 'number' ? choice['index'] : 0;
      const delta = choice['delta'];
      const finish = choice['finish_reason'];
      if (finish === 'error') {
        this.error = chunk;
        return 'error';
      }
      if (isJsonObject(delta) && bringsSomething(delta)) kind = 'content';
      if (typeof finish === 'string') {
        kind = 'content';
        this.#unfinished.delete(index);
        this.#callingTools.delete(index);
        this.#finished.add(index);
      } else if (!this.#finished.has(index)) {
        this.#unfinished.add(index);
        if (isJsonObject(delta) && callsTool(delta)) this.#callingTools.add(index);
      }
    }
    return kind;
  }
}

/** An SDK reads `choice.delta.…`; some hosts leave the delta out of the chunk that only finishes. */
function isChoice(choice: Json): boolean {
  return isJsonObject(choice) && (choice['delta'] === undefined || isJsonObject(choice['delta']));
}

function isError(chunk: JsonObject): boolean {
  if (chunk['error'] != null) return true;
  const groq = chunk['x_groq'];
  return isJsonObject(groq) && groq['error'] != null;
}

/** `function_call` is what tool calls were before 2024. */
function callsTool(delta: JsonObject): boolean {
  return delta['tool_calls'] != null || delta['function_call'] != null;
}

function groqUsage(chunk: JsonObject): Json | undefined {
  const groq = chunk['x_groq'];
  return isJsonObject(groq) ? groq['usage'] : undefined;
}

/** Any member but the role with something in it: fields that no one has invented yet are content too. */
function bringsSomething(delta: JsonObject): boolean {
  for (const key in delta) {
    if (key === 'role') continue;
    const value = delta[key];
    if (value === null || value === undefined || value === '' || value === false) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    return true;
  }
  return false;
}

/** OpenAI's usage object, with DeepSeek's name for cached tokens. */
export function readUsage(usage: JsonObject): Usage {
  const promptDetails = usage['prompt_tokens_details'];
  const completionDetails = usage['completion_tokens_details'];
  return {
    input: count(usage['prompt_tokens']),
    output: count(usage['completion_tokens']),
    cached: isJsonObject(promptDetails)
      ? count(promptDetails['cached_tokens'])
      : count(usage['prompt_cache_hit_tokens']),
    reasoning: isJsonObject(completionDetails) ? count(completionDetails['reasoning_tokens']) : 0,
  };
}

function count(value: Json | undefined): number {
  return typeof value === 'number' && value > 0 ? Math.round(value) : 0;
}
