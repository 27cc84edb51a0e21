import { createHash } from 'node:crypto';
import { noteThinkingBudget } from '../../chat/thinking-budget.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { JsonBody } from '../../core/json-body.ts';
import { budgetOf, effortOf } from './effort.ts';
import { Left } from './left.ts';
import { fitsStrict } from './strict-schema.ts';
import { chatMessages } from './to-chat-messages.ts';
import { chatTools } from './to-chat-tools.ts';

/** Members that are translated, or that a relay deals with itself. */
const TRANSLATED = new Set([
  'model',
  'messages',
  'system',
  'max_tokens',
  'stream',
  'stop_sequences',
  'temperature',
  'top_p',
  'top_k',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'metadata',
  'service_tier',
  'cache_control',
]);

/** Members without which the answer would be to another question, by why nobody but Anthropic can heed them. */
const ESSENTIAL: Readonly<Record<string, string>> = {
  container: 'Containers are known to Anthropic only.',
  mcp_servers: 'Only Anthropic calls MCP servers by itself.',
  inference_geo: 'Only Anthropic promises where a request is processed.',
};

/** What a request of Anthropic's is in OpenAI's chat completions. */
export interface Translated {
  body: JsonBody;
  /** What was left out, by the client's names. */
  dropped: readonly string[];
}

/** Throws `Unsupported` for what changes the meaning and has no words there, or cannot be understood. */
export function toChat(request: JsonObject, isLarge = false): Translated {
  checkEssential(request);
  const left = new Left();
  const chat: JsonObject = {
    model: request['model'] ?? '',
    messages: chatMessages(request, left),
    ...chatTools(request, left),
    ...limits(request),
    ...numbers(request),
    ...output(request, left),
    ...person(request),
    ...tier(request, left),
    ...(request['stream'] === true ? { stream: true } : {}),
  };
  for (const name of Object.keys(request)) {
    if (!TRANSLATED.has(name) && !Object.hasOwn(ESSENTIAL, name)) left.unless(isNothing(request[name]), name);
  }
  noteThinkingBudget(chat, budgetOf(request));
  const body = bodyOf(chat, isLarge);
  return { body, dropped: left.names };
}

function checkEssential(request: JsonObject): void {
  for (const [name, why] of Object.entries(ESSENTIAL)) {
    const value = Object.hasOwn(request, name) ? request[name] : null;
    const isAnywhere = name === 'inference_geo' && value === 'global';
    if (!isNothing(value) && !isAnywhere) throw new Unsupported(name, why);
  }
  checkThread(request['thread']);
}

/** One that begins here comes with the whole conversation, and is left out. One that goes on has the rest of it elsewhere. */
function checkThread(thread: Json | undefined): void {
  if (isNothing(thread) || (isJsonObject(thread) && thread['type'] === 'create')) return;
  throw new Unsupported('thread.previous_message_id', 'Threads are kept by Anthropic only.');
}

/** Nothing is asked for by null, a false, an empty list or an empty object. */
function isNothing(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function limits(request: JsonObject): JsonObject {
  const { max_tokens: most, stop_sequences: stops } = request;
  if (most === 0) throw new Unsupported('max_tokens', 'Only Anthropic fills its cache without an answer.');
  if (stops !== undefined && stops !== null && !isTexts(stops)) {
    throw new Unsupported('stop_sequences', 'It must be a list of texts.');
  }
  return {
    ...(typeof most === 'number' ? { max_tokens: most } : {}),
    ...(isTexts(stops) && stops.length > 0 ? { stop: [...stops] } : {}),
  };
}

function isTexts(value: Json | undefined): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function numbers(request: JsonObject): JsonObject {
  const given: JsonObject = {};
  for (const name of ['temperature', 'top_p', 'top_k'] as const) {
    const value = request[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'number') throw new Unsupported(name, 'It must be a number.');
    given[name] = value;
  }
  return given;
}

/** How hard it is to think, and in what form it is to answer. */
function output(request: JsonObject, left: Left): JsonObject {
  const { thinking, output_config: config, output_format: formerFormat } = request;
  if (config !== undefined && config !== null && !isJsonObject(config)) {
    throw new Unsupported('output_config', 'It must be an object.');
  }
  const effort = effortOf(request);
  left.unless(!(effort === 'none' && config?.['effort'] != null), 'output_config.effort');
  // Thinking is always shown: what cannot be told without showing it must be handed back all the same.
  left.unless(!(isJsonObject(thinking) && thinking['display'] === 'omitted'), 'thinking.display');
  for (const name of Object.keys(config ?? {})) {
    if (name !== 'effort' && name !== 'format')
      left.unless(isNothing(config?.[name]), `output_config.${name}`);
  }
  const format = config?.['format'] ?? formerFormat;
  return {
    ...(effort === null ? {} : { reasoning_effort: effort }),
    ...(format === undefined || format === null ? {} : { response_format: responseFormat(format) }),
  };
}

function responseFormat(format: Json): JsonObject {
  const schema = isJsonObject(format) ? format['schema'] : null;
  if (!isJsonObject(format) || format['type'] !== 'json_schema' || !isJsonObject(schema)) {
    throw new Unsupported(
      'output_config.format',
      "Only the type 'json_schema', with a schema, is supported.",
    );
  }
  return {
    type: 'json_schema',
    json_schema: { name: 'answer', schema, ...(fitsStrict(schema) ? { strict: true } : {}) },
  };
}

/** What hosts take as somebody's id. */
const PLAIN_ID = /^[\w-]{1,64}$/;

/** Agents put JSON of 150 characters in there, which hosts refuse. Its hash tells people apart as well. */
function person(request: JsonObject): JsonObject {
  const { metadata } = request;
  const id = isJsonObject(metadata) ? metadata['user_id'] : null;
  if (typeof id !== 'string' || id === '') return {};
  return { user: PLAIN_ID.test(id) ? id : createHash('sha256').update(id).digest('hex') };
}

function tier(request: JsonObject, left: Left): JsonObject {
  const { service_tier: asked } = request;
  if (asked === 'auto') return { service_tier: 'auto' };
  if (asked === 'standard_only') return { service_tier: 'default' };
  left.unless(isNothing(asked), 'service_tier');
  return {};
}

function bodyOf(chat: JsonObject, isLarge: boolean): JsonBody {
  try {
    return JsonBody.of(chat, isLarge);
  } catch (error) {
    // Its parts lie a little deeper there than they did.
    if (error instanceof RangeError) {
      throw new Unsupported('messages', 'The request is too deep to be translated.');
    }
    throw error;
  }
}
