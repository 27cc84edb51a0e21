import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { messagesOf } from './items.ts';
import { toolChoiceOf, toolsOf } from './tools.ts';

/** What both dialects call the same; the last line is no part of OpenAI's responses, and goes on for those who send it all the same. */
const SAME_NAME = [
  'model',
  'temperature',
  'top_p',
  'parallel_tool_calls',
  'metadata',
  'user',
  'safety_identifier',
  'service_tier',
  'moderation',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  ...['top_k', 'stop', 'seed', 'presence_penalty', 'frequency_penalty', 'logit_bias', 'cache_control'],
];

/** What only a host that keeps answers and templates can do; `background`, which is a truth value, is not among them. */
const STATE = ['previous_response_id', 'conversation', 'prompt'];

/**
 * What a target without the API has nothing like, and an answer can do without; with the values that ask for nothing. Not among them, since nothing is
 * lost without them: `include` (but for log probabilities, which chat has), `stream_options`, and `max_tool_calls`, which is of built-in tools.
 */
const LEFT_OUT: Readonly<Record<string, readonly Json[]>> = {
  store: [false],
  truncation: ['disabled'],
  context_management: [],
  access_programs: [],
  image: [],
};
const LEFT_OUT_OF_REASONING: Readonly<Record<string, readonly Json[]>> = {
  mode: ['standard'],
  context: ['auto'],
};

/** The same request in chat completions, and what is left out of it, by the client's names. */
export function chatRequest(request: JsonObject): { chat: JsonObject; dropped: string[] } {
  refuseState(request);
  const chat: JsonObject = {};
  for (const name of SAME_NAME) {
    const value = request[name];
    if (value !== undefined && value !== null) chat[name] = value;
  }
  chat['messages'] = messagesOf(request);
  if (request['stream'] === true) {
    chat['stream'] = true;
    chat['stream_options'] = { include_usage: true };
  }
  const tools = toolsOf(request['tools']);
  if (tools.length > 0) chat['tools'] = tools;
  else delete chat['parallel_tool_calls'];
  const choice = toolChoiceOf(request['tool_choice']);
  if (choice !== undefined && tools.length > 0) chat['tool_choice'] = choice;
  put(chat, 'max_completion_tokens', request['max_output_tokens']);
  addText(chat, request['text']);
  addReasoning(chat, request['reasoning']);
  addLogprobs(chat, request);
  const { reasoning } = request;
  const dropped = asked(request, LEFT_OUT);
  if (isJsonObject(reasoning)) {
    dropped.push(...asked(reasoning, LEFT_OUT_OF_REASONING).map((name) => `reasoning.${name}`));
  }
  return { chat, dropped };
}

/** Of these members, those that ask for something. */
function asked(owner: JsonObject, members: Readonly<Record<string, readonly Json[]>>): string[] {
  return Object.entries(members).flatMap(([name, nothing]) => {
    const value = owner[name];
    return value === undefined || value === null || nothing.includes(value) ? [] : [name];
  });
}

function refuseState(request: JsonObject): void {
  for (const name of STATE) {
    const value = request[name];
    if (value !== undefined && value !== null) {
      throw new Unsupported(name, `'${name}' is not supported: nothing is stored here.`);
    }
  }
  if (request['background'] === true) {
    throw new Unsupported('background', 'Answers in the background are not supported.');
  }
}

function put(chat: JsonObject, name: string, value: Json | undefined): void {
  if (value !== undefined && value !== null) chat[name] = value;
}

function addText(chat: JsonObject, text: Json | undefined): void {
  if (!isJsonObject(text)) return;
  put(chat, 'verbosity', text['verbosity']);
  const format = text['format'];
  if (!isJsonObject(format)) return;
  const { type, ...described } = format;
  switch (type) {
    case 'text':
      return;
    case 'json_object':
      chat['response_format'] = { type };
      return;
    case 'json_schema':
      chat['response_format'] = { type, json_schema: described };
      return;
    default:
      throw new Unsupported(
        'text.format',
        "Only the types 'text', 'json_object' and 'json_schema' are supported.",
      );
  }
}

function addReasoning(chat: JsonObject, reasoning: Json | undefined): void {
  if (isJsonObject(reasoning)) put(chat, 'reasoning_effort', reasoning['effort']);
}

/** 0 of the likeliest tokens are what the API says by itself, and asks for nothing. */
function addLogprobs(chat: JsonObject, { include, top_logprobs: most }: JsonObject): void {
  const included = Array.isArray(include) && include.includes('message.output_text.logprobs');
  const some = typeof most === 'number' && most > 0;
  if (included || some) chat['logprobs'] = true;
  if (some) chat['top_logprobs'] = most;
}
