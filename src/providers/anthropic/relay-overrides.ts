import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** OpenAI's names for what Anthropic has too. */
const NAMES: Readonly<Record<string, string>> = {
  max_completion_tokens: 'max_tokens',
  stop: 'stop_sequences',
};

/** What a target's overrides may say that only chat completions know; the rest is the target's own affair. `reasoning_effort` is read elsewhere. */
const OPENAIS_ALONE = new Set([
  'n',
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'response_format',
  'parallel_tool_calls',
  'stream_options',
  'store',
  'user',
  'safety_identifier',
  'verbosity',
  'prediction',
  'modalities',
  'audio',
  'web_search_options',
  'prompt_cache_key',
  'prompt_cache_retention',
  'functions',
  'function_call',
  'reasoning_effort',
]);

/** Not the target's to say. */
const NEVER = new Set(['model', 'messages', 'stream']);

/** What a question of how many tokens a request has may say. */
const OF_COUNTS = new Set(['cache_control', 'output_config', 'system', 'thinking', 'tool_choice', 'tools']);

/** A target's overrides in the words of Anthropic's Messages: null takes a parameter out. */
export function overrides(params: JsonObject, isCount: boolean): Map<string, Json> {
  const changes = new Map<string, Json>();
  for (const [name, value] of Object.entries(params)) {
    if (OPENAIS_ALONE.has(name) || NEVER.has(name)) continue;
    const known = (Object.hasOwn(NAMES, name) ? NAMES[name] : undefined) ?? name;
    // Of the two names, the newer one holds.
    if (name === 'max_tokens' && params['max_completion_tokens'] != null) continue;
    const said = inAnthropicsWords(known, value);
    if (said === undefined || (isCount && !OF_COUNTS.has(known))) continue;
    changes.set(known, said);
  }
  return changes;
}

/** Undefined: it is said in a way that means nothing there. */
function inAnthropicsWords(name: string, value: Json): Json | undefined {
  switch (name) {
    case 'max_tokens':
      // It must be there.
      return value === null ? undefined : value;
    case 'stop_sequences':
      return typeof value === 'string' ? [value] : value;
    case 'tool_choice':
      return choiceOf(value);
    case 'metadata':
      return value === null || (isJsonObject(value) && 'user_id' in value) ? value : undefined;
    case 'service_tier':
      if (value === 'default') return 'standard_only';
      if (value === 'priority' || value === 'fast') return 'auto';
      return value === 'flex' || value === 'scale' ? undefined : value;
    case 'tools':
      return Array.isArray(value) && value.some(isFunction) ? undefined : value;
  }
  return value;
}

function choiceOf(choice: Json): Json {
  if (typeof choice === 'string') return { type: choice === 'required' ? 'any' : choice };
  const named = isJsonObject(choice) && choice['type'] === 'function' ? choice['function'] : null;
  return isJsonObject(named) ? { type: 'tool', name: named['name'] ?? null } : choice;
}

function isFunction(tool: Json): boolean {
  return isJsonObject(tool) && tool['type'] === 'function';
}
