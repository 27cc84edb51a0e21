import { EFFORTS, type Effort } from '../capabilities/capabilities.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type {
  AssistantTurn,
  Conversation,
  ResponseFormat,
  TextPart,
  Tool,
  ToolChoice,
  Turn,
  UserTurn,
} from './conversation.ts';
import type { Recall } from './extensions.ts';
import { readAssistant } from './read-assistant.ts';
import { readCache, readParts, readTexts } from './read-parts.ts';
import { thinkingBudget } from './thinking-budget.ts';
import { Unsupported } from './unsupported.ts';

/** Members that have a place of their own in `Conversation`, or that a relay deals with itself. */
const KNOWN = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'max_completion_tokens',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'stop',
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'n',
  'logprobs',
  'top_logprobs',
  'response_format',
  'reasoning_effort',
  'user',
  'safety_identifier',
  'metadata',
  'service_tier',
]);

/**
 * Reads a chat completions request. Throws `Unsupported` for what has no place in a `Conversation`: parts and tools that nobody but OpenAI
 * knows, and what is not well-formed enough to be understood.
 */
export function readConversation(request: JsonObject, recall: Recall): Conversation {
  const { system, turns } = readMessages(request['messages'], recall);
  const choice = readToolChoice(request['tool_choice']);
  const tools = readTools(request['tools']);
  return {
    system,
    turns,
    tools: choice.allowed === null ? tools : tools.filter(({ name }) => choice.allowed?.has(name)),
    toolChoice: choice.choice,
    parallelToolCalls: readBoolean(request, 'parallel_tool_calls'),
    maxTokens: readCount(request, 'max_completion_tokens') ?? readCount(request, 'max_tokens'),
    temperature: readNumber(request, 'temperature'),
    topP: readNumber(request, 'top_p'),
    topK: readNumber(request, 'top_k'),
    stop: readStop(request['stop']),
    seed: readNumber(request, 'seed'),
    presencePenalty: readNumber(request, 'presence_penalty'),
    frequencyPenalty: readNumber(request, 'frequency_penalty'),
    n: readCount(request, 'n') ?? 1,
    logprobs: readBoolean(request, 'logprobs') ?? false,
    topLogprobs: readNumber(request, 'top_logprobs'),
    responseFormat: readFormat(request['response_format']),
    reasoningEffort: readEffort(request['reasoning_effort']),
    thinkingBudget: thinkingBudget(request),
    user: readText(request, 'safety_identifier') ?? readText(request, 'user'),
    metadata: readMetadata(request['metadata']),
    serviceTier: readText(request, 'service_tier'),
    others: readOthers(request),
  };
}

function readMessages(messages: Json | undefined, recall: Recall): { system: TextPart[]; turns: Turn[] } {
  if (!Array.isArray(messages)) throw new Unsupported('messages', 'The messages must be a list.');
  const system: TextPart[] = [];
  const turns: Turn[] = [];
  const toolNames = new Map<string, string>();
  for (const [index, message] of messages.entries()) {
    const at = `messages[${index}]`;
    if (!isJsonObject(message)) throw new Unsupported(at, 'A message must be an object.');
    switch (message['role']) {
      case 'system':
      case 'developer': {
        const parts = readTexts(message['content'], `${at}.content`, readCache(message));
        if (turns.length === 0) system.push(...parts);
        else addSystem(turns, parts);
        break;
      }
      case 'user': {
        const parts = readParts(message['content'], `${at}.content`, readCache(message));
        if (parts.length > 0) userTurn(turns).parts.push(...parts);
        break;
      }
      case 'tool':
      case 'function':
        addResult(turns, message, at, toolNames);
        break;
      case 'assistant': {
        const turn = readAssistant(message, at, recall);
        for (const { id, name } of turn.calls) toolNames.set(id, name);
        addAssistant(turns, turn);
        break;
      }
      default:
        throw new Unsupported(
          `${at}.role`,
          'A message needs a role: system, developer, user, assistant or tool.',
        );
    }
  }
  return { system, turns };
}

/** The user turn at the end, or a new one. */
function userTurn(turns: Turn[]): UserTurn {
  const last = turns.at(-1);
  if (last?.role === 'user') return last;
  const turn: UserTurn = { role: 'user', results: [], parts: [] };
  turns.push(turn);
  return turn;
}

function addSystem(turns: Turn[], parts: TextPart[]): void {
  if (parts.length === 0) return;
  const last = turns.at(-1);
  if (last?.role === 'system') last.parts.push(...parts);
  else turns.push({ role: 'system', parts });
}

function addAssistant(turns: Turn[], turn: AssistantTurn): void {
  if (turn.parts.length === 0 && turn.calls.length === 0 && turn.thinking.length === 0) return;
  const last = turns.at(-1);
  if (last?.role !== 'assistant') {
    turns.push(turn);
    return;
  }
  last.thinking.push(...turn.thinking);
  last.parts.push(...turn.parts);
  last.calls.push(...turn.calls);
  if (turn.reasoning !== null) last.reasoning = `${last.reasoning ?? ''}${turn.reasoning}`;
  last.thoughtSignature = turn.thoughtSignature ?? last.thoughtSignature;
}

function addResult(
  turns: Turn[],
  message: JsonObject,
  at: string,
  toolNames: ReadonlyMap<string, string>,
): void {
  // What was a function call before 2023 is known by its name alone.
  const named = message['role'] === 'function' ? message['name'] : undefined;
  const id = named ?? message['tool_call_id'];
  if (typeof id !== 'string' || id === '') {
    throw new Unsupported(`${at}.tool_call_id`, 'A tool message must name the call that it answers.');
  }
  userTurn(turns).results.push({
    callId: id,
    name: toolNames.get(id) ?? (typeof message['name'] === 'string' ? message['name'] : null),
    parts: readParts(message['content'], `${at}.content`, null),
    isError: message['is_error'] === true,
    cache: readCache(message),
    at,
  });
}

function readTools(tools: Json | undefined): Tool[] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) throw new Unsupported('tools', 'The tools must be a list.');
  return tools.map((tool, index) => {
    const at = `tools[${index}]`;
    if (!isJsonObject(tool)) throw new Unsupported(at, 'A tool must be an object.');
    const definition = tool['function'];
    if (tool['type'] !== 'function' || !isJsonObject(definition)) {
      const type = typeof tool['type'] === 'string' ? tool['type'].slice(0, 50) : 'without a type';
      throw new Unsupported(at, `Only tools of type 'function' are supported; this one is '${type}'.`);
    }
    const { name, description, parameters, strict } = definition;
    if (typeof name !== 'string' || name === '') {
      throw new Unsupported(`${at}.function.name`, 'A function needs a name.');
    }
    return {
      name,
      description: typeof description === 'string' && description !== '' ? description : null,
      parameters: isJsonObject(parameters) ? parameters : null,
      strict: typeof strict === 'boolean' ? strict : null,
      cache: readCache(tool),
      at,
    };
  });
}

function readToolChoice(choice: Json | undefined): {
  choice: ToolChoice | null;
  /** Of the tools, only these; null = all. */
  allowed: ReadonlySet<string> | null;
} {
  if (choice === undefined || choice === null) return { choice: null, allowed: null };
  if (choice === 'auto' || choice === 'none' || choice === 'required') {
    return { choice: { kind: choice }, allowed: null };
  }
  if (isJsonObject(choice)) {
    const named = choice['function'];
    if (choice['type'] === 'function' && isJsonObject(named) && typeof named['name'] === 'string') {
      return { choice: { kind: 'named', name: named['name'] }, allowed: null };
    }
    const allowed = choice['allowed_tools'];
    if (choice['type'] === 'allowed_tools' && isJsonObject(allowed) && Array.isArray(allowed['tools'])) {
      const kind = allowed['mode'] === 'required' ? 'required' : 'auto';
      return { choice: { kind }, allowed: new Set(allowed['tools'].flatMap(nameOfAllowed)) };
    }
  }
  throw new Unsupported(
    'tool_choice',
    "Only 'auto', 'none', 'required', a function and allowed_tools are supported.",
  );
}

function nameOfAllowed(tool: Json): string[] {
  const named = isJsonObject(tool) ? tool['function'] : null;
  return isJsonObject(named) && typeof named['name'] === 'string' ? [named['name']] : [];
}

function readFormat(format: Json | undefined): ResponseFormat {
  if (format === undefined || format === null) return { kind: 'text' };
  if (isJsonObject(format)) {
    if (format['type'] === 'text') return { kind: 'text' };
    if (format['type'] === 'json_object') return { kind: 'json' };
    const described = format['json_schema'];
    if (format['type'] === 'json_schema' && isJsonObject(described)) {
      const { name, schema, strict } = described;
      return {
        kind: 'schema',
        name: typeof name === 'string' && name !== '' ? name : 'answer',
        schema: isJsonObject(schema) ? schema : {},
        strict: typeof strict === 'boolean' ? strict : null,
      };
    }
  }
  throw new Unsupported(
    'response_format',
    "Only the types 'text', 'json_object' and 'json_schema' are supported.",
  );
}

function readEffort(effort: Json | undefined): Effort | null {
  if (effort === undefined || effort === null) return null;
  const known = EFFORTS.find((one) => one === effort);
  if (known === undefined)
    throw new Unsupported('reasoning_effort', `It must be one of ${EFFORTS.join(', ')}.`);
  return known;
}

function readStop(stop: Json | undefined): string[] {
  if (typeof stop === 'string') return stop === '' ? [] : [stop];
  if (stop === undefined || stop === null) return [];
  const texts = (Array.isArray(stop) ? stop : [stop]).map((one) => {
    if (typeof one !== 'string')
      throw new Unsupported('stop', 'What stops an answer must be a text or a list of texts.');
    return one;
  });
  return texts.filter((one) => one !== '');
}

function readMetadata(metadata: Json | undefined): Record<string, string> | null {
  if (!isJsonObject(metadata)) return null;
  const texts = Object.entries(metadata).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return texts.length === 0 ? null : Object.fromEntries(texts);
}

/** Nothing is asked for by null, an empty list or an empty object. */
function readOthers(request: JsonObject): JsonObject {
  const others: [string, Json][] = [];
  for (const [name, value] of Object.entries(request)) {
    if (KNOWN.has(name) || value === null) continue;
    if (typeof value === 'object' && Object.keys(value).length === 0) continue;
    others.push([name, value]);
  }
  return Object.fromEntries(others);
}

function readNumber(request: JsonObject, name: string): number | null {
  const value = request[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number') throw new Unsupported(name, `The parameter '${name}' must be a number.`);
  return Number.isFinite(value) ? value : null;
}

function readCount(request: JsonObject, name: string): number | null {
  const value = readNumber(request, name);
  if (value === null || (Number.isInteger(value) && value >= 1)) return value;
  throw new Unsupported(name, `The parameter '${name}' must be a whole number of at least 1.`);
}

function readBoolean(request: JsonObject, name: string): boolean | null {
  const value = request[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'boolean')
    throw new Unsupported(name, `The parameter '${name}' must be true or false.`);
  return value;
}

function readText(request: JsonObject, name: string): string | null {
  const value = request[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw new Unsupported(name, `The parameter '${name}' must be a text.`);
  return value === '' ? null : value;
}
