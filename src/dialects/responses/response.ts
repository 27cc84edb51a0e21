import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { readUsage } from '../../providers/openai/chunk.ts';

/** How far an answer is. */
export type Progress =
  | { status: 'in_progress' }
  | { status: 'completed' }
  | { status: 'incomplete'; reason: string };

/** What a `Response` is made of besides the request. */
export interface ResponseFacts {
  /** With its prefix. */
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
  /** What the host says of it; null where it says nothing. */
  serviceTier: string | null;
  /** A chat completion's; null where the host reports none. */
  usage: JsonObject | null;
  output: JsonObject[];
}

/** What a choice's `finish_reason` says of the answer. What is not known is no reason to call an answer cut off. */
export function progressOf(finishReason: Json | undefined): Progress {
  switch (finishReason) {
    case 'length':
      return { status: 'incomplete', reason: 'max_output_tokens' };
    case 'content_filter':
      return { status: 'incomplete', reason: 'content_filter' };
    default:
      return { status: 'completed' };
  }
}

/** A `Response` of the API. Of what the request asked for it repeats what was in force: `store` and `truncation` never are. */
export function responseOf(request: JsonObject, facts: ResponseFacts, progress: Progress): JsonObject {
  const { id, created, model, serviceTier, usage, output } = facts;
  return {
    id,
    object: 'response',
    created_at: created,
    status: progress.status,
    background: false,
    error: null,
    incomplete_details: progress.status === 'incomplete' ? { reason: progress.reason } : null,
    instructions: textOrNull(request['instructions']),
    max_output_tokens: numberOr(request['max_output_tokens'], null),
    max_tool_calls: numberOr(request['max_tool_calls'], null),
    model,
    output,
    parallel_tool_calls: request['parallel_tool_calls'] !== false,
    previous_response_id: null,
    prompt_cache_key: textOrNull(request['prompt_cache_key']),
    reasoning: reasoningOf(request['reasoning']),
    safety_identifier: textOrNull(request['safety_identifier']),
    service_tier: serviceTier,
    store: false,
    temperature: numberOr(request['temperature'], 1),
    text: textConfig(request['text']),
    tool_choice: request['tool_choice'] ?? 'auto',
    tools: Array.isArray(request['tools']) ? request['tools'].filter(isJsonObject).map(toolOf) : [],
    top_logprobs: numberOr(request['top_logprobs'], 0),
    top_p: numberOr(request['top_p'], 1),
    truncation: 'disabled',
    ...(progress.status === 'in_progress' ? {} : { usage: usageOf(usage) }),
    ...(typeof request['user'] === 'string' ? { user: request['user'] } : {}),
    metadata: isJsonObject(request['metadata']) ? request['metadata'] : {},
    access_programs: null,
  };
}

/** All zero where the host reports none: clients take it for granted. */
function usageOf(usage: JsonObject | null): JsonObject {
  const { input, output, cached, cacheWrite, reasoning } = readUsage(usage ?? {});
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: cacheWrite },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}

function reasoningOf(reasoning: Json | undefined): JsonObject {
  return { effort: null, summary: null, ...(isJsonObject(reasoning) ? reasoning : {}) };
}

function textConfig(text: Json | undefined): JsonObject {
  return { format: { type: 'text' }, ...(isJsonObject(text) ? text : {}) };
}

function toolOf(tool: JsonObject): JsonObject {
  return tool['type'] === 'function' ? { parameters: null, strict: null, ...tool } : tool;
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function numberOr<Other>(value: Json | undefined, other: Other): number | Other {
  return typeof value === 'number' ? value : other;
}
