/** Applications in front of the gateway: by the official SDKs, or by what they would read. */
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { isJsonObject, type JsonObject } from '../../src/core/json.ts';
import type { Usage } from '../../src/core/usage.ts';
import { SseDecoder } from '../../src/sse/decoder.ts';
import { faultIn } from '../dialects/messages/grammar.ts';
import { checkGrammar } from '../dialects/responses/grammar.ts';
import type { StreamEvent } from '../dialects/responses/kit.ts';
import { checkChunk } from '../providers/kit.ts';
import type { TestGateway } from '../support/gateway.ts';

/** In whose words a client speaks. */
export const CLIENTS = ['chat', 'messages', 'responses'] as const;
export type Client = (typeof CLIENTS)[number];

/** A client's key of OpenAI's, and of Anthropic's SDK. */
export const CLIENT_KEY = 'sk-of-the-client-Wm3Tz8';

export function openaiSdk({ url }: Pick<TestGateway, 'url'>, apiKey = CLIENT_KEY): OpenAI {
  return new OpenAI({ baseURL: url, apiKey, maxRetries: 0 });
}

export function anthropicSdk({ origin }: Pick<TestGateway, 'origin'>, apiKey = CLIENT_KEY): Anthropic {
  return new Anthropic({ baseURL: origin, apiKey, maxRetries: 0 });
}

/** What an application hears of an answer, in whichever dialect. */
export interface Heard {
  text: string;
  calls: { id: string; name: string; arguments: unknown }[];
  /** The client's word for it. */
  stop: string | null;
  usage: Usage;
  /** Of chat alone: what the usage says of the cost. Dollars. */
  cost?: number | null;
  headers: Headers;
}

/** Asks through the SDK of that dialect; `more` goes into the request. */
export function ask(
  gateway: TestGateway,
  client: Client,
  model: string,
  streaming: boolean,
  more: object = {},
): Promise<Heard> {
  switch (client) {
    case 'chat':
      return askChat(gateway, model, streaming, more);
    case 'messages':
      return askMessages(gateway, model, streaming, more);
    case 'responses':
      return askResponses(gateway, model, streaming, more);
  }
}

const QUESTION = { role: 'user' as const, content: 'Is it warm?' };

async function askChat(
  gateway: TestGateway,
  model: string,
  streaming: boolean,
  more: object,
): Promise<Heard> {
  const { completions } = openaiSdk(gateway).chat;
  const asked = { model, messages: [QUESTION], ...more };
  let headers = new Headers();
  let completion: OpenAI.ChatCompletion;
  if (streaming) {
    const run = completions.stream({ ...asked, stream_options: { include_usage: true } });
    // The SDK's own assistant gives the headers of none of its streams.
    completion = await run.finalChatCompletion();
  } else {
    const { data, response } = await completions.create(asked).withResponse();
    completion = data;
    headers = response.headers;
  }
  const [choice] = completion.choices;
  const { usage } = completion as { usage?: OpenAI.CompletionUsage & { cost?: number | null } };
  assert.ok(choice && usage);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  return {
    text: choice.message.content ?? '',
    calls: (choice.message.tool_calls ?? []).map((call) => {
      assert.ok(call.type === 'function');
      const { name, arguments: text } = call.function;
      return { id: call.id, name, arguments: JSON.parse(text) };
    }),
    stop: choice.finish_reason,
    usage: {
      input: usage.prompt_tokens,
      output: usage.completion_tokens,
      cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
      cacheWrite: usage.prompt_tokens_details?.cache_write_tokens ?? 0,
      reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
    },
    ...(usage.cost === undefined ? {} : { cost: usage.cost }),
    headers,
  };
}

async function askMessages(
  gateway: TestGateway,
  model: string,
  streaming: boolean,
  more: object,
): Promise<Heard> {
  const { messages } = anthropicSdk(gateway);
  const asked = { model, max_tokens: 2000, messages: [QUESTION], ...more };
  let headers = new Headers();
  let message: Anthropic.Message;
  if (streaming) {
    const run = messages.stream(asked);
    message = await run.finalMessage();
    headers = run.response?.headers ?? headers;
  } else {
    const { data, response } = await messages.create(asked).withResponse();
    message = data;
    headers = response.headers;
  }
  const { content, usage } = message;
  const cached = usage.cache_read_input_tokens ?? 0;
  const cacheWrite = usage.cache_creation_input_tokens ?? 0;
  const hour = usage.cache_creation?.ephemeral_1h_input_tokens ?? 0;
  return {
    text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    calls: content.flatMap((block) =>
      block.type === 'tool_use' ? [{ id: block.id, name: block.name, arguments: block.input }] : [],
    ),
    stop: message.stop_reason,
    usage: {
      input: usage.input_tokens + cached + cacheWrite,
      output: usage.output_tokens,
      cached,
      cacheWrite,
      ...(hour > 0 ? { cacheWriteHour: hour } : {}),
      reasoning: usage.output_tokens_details?.thinking_tokens ?? 0,
    },
    headers,
  };
}

async function askResponses(
  gateway: TestGateway,
  model: string,
  streaming: boolean,
  more: object,
): Promise<Heard> {
  const { responses } = openaiSdk(gateway);
  const asked = { model, input: [QUESTION], store: false, ...more };
  let headers = new Headers();
  let response: OpenAI.Responses.Response;
  if (streaming) response = await responses.stream(asked).finalResponse();
  else {
    const answered = await responses.create(asked).withResponse();
    response = answered.data as OpenAI.Responses.Response;
    headers = answered.response.headers;
  }
  const { usage } = response;
  assert.ok(usage);
  assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
  return {
    text: response.output_text,
    calls: response.output.flatMap((item) =>
      item.type === 'function_call'
        ? [{ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) }]
        : [],
    ),
    stop: response.status ?? null,
    usage: {
      input: usage.input_tokens,
      output: usage.output_tokens,
      cached: usage.input_tokens_details.cached_tokens,
      cacheWrite: usage.input_tokens_details.cache_write_tokens ?? 0,
      reasoning: usage.output_tokens_details.reasoning_tokens,
    },
    headers,
  };
}

// ------------------------------------------------------------------------------------------------------------ without an SDK

const PATHS: Readonly<Record<Client, string>> = {
  chat: '/v1/chat/completions',
  messages: '/v1/messages',
  responses: '/v1/responses',
};

/** A small request of that dialect. */
export function bodyOf(client: Client, model: string, more: object = {}): object {
  switch (client) {
    case 'chat':
      return { model, messages: [QUESTION], ...more };
    case 'messages':
      return { model, max_tokens: 2000, messages: [QUESTION], ...more };
    case 'responses':
      return { model, input: [QUESTION], store: false, ...more };
  }
}

/** Sends it as it is. */
export function post(
  { origin }: Pick<TestGateway, 'origin'>,
  client: Client,
  body: object,
  init: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Response> {
  return fetch(`${origin}${PATHS[client]}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...init.headers },
    body: JSON.stringify(body),
    ...(init.signal === undefined ? {} : { signal: init.signal }),
  });
}

/** One event of a client's stream. `data` null: the end mark of a chat. */
export interface ClientEvent {
  type: string;
  data: JsonObject | null;
}

export function eventsOf(text: string): ClientEvent[] {
  const events: ClientEvent[] = [];
  const decoder = new SseDecoder(
    {
      event(data, type) {
        if (data === '[DONE]') {
          events.push({ type, data: null });
          return;
        }
        const value: unknown = JSON.parse(data);
        assert.ok(isJsonObject(value), data);
        events.push({ type, data: value });
      },
    },
    1 << 24,
  );
  decoder.push(Buffer.from(text));
  decoder.end();
  return events;
}

/** What a client has of a stream. */
export interface Had {
  text: string;
  reasoning: string;
  /** The arguments of each call so far, in the order in which they began. */
  arguments: string[];
  names: string[];
  /** How it ends: as the dialect says that an answer is whole, or with an error. */
  end: 'finish' | 'error';
}

/** Reads a client's stream, and holds it to the dialect's grammar: each event is well-formed, and it ends with a finish or an error. */
export function readStream(client: Client, events: readonly ClientEvent[]): Had {
  switch (client) {
    case 'chat':
      return readChat(events);
    case 'messages':
      return readMessages(events);
    case 'responses':
      return readResponses(events);
  }
}

function readChat(events: readonly ClientEvent[]): Had {
  const had: Had = { text: '', reasoning: '', arguments: [], names: [], end: 'error' };
  let finish: string | null = null;
  for (const [at, { data }] of events.entries()) {
    const isLast = at === events.length - 1;
    if (data === null) {
      assert.ok(isLast, 'nothing comes after the end mark');
      assert.notEqual(finish, null, 'the end mark comes after a finish');
      had.end = 'finish';
      return had;
    }
    if (data['error'] !== undefined) {
      assert.ok(isLast, 'nothing comes after an error');
      assert.equal(typeof (data['error'] as JsonObject)['message'], 'string');
      return had;
    }
    checkChunk(data);
    for (const choice of data['choices'] as JsonObject[]) {
      const isEmpty = Object.keys(choice['delta'] as JsonObject).length === 0;
      assert.ok(
        finish === null || (isEmpty && choice['finish_reason'] === null),
        'nothing comes after a finish',
      );
      if (choice['finish_reason'] !== null) finish = String(choice['finish_reason']);
      const delta = choice['delta'] as JsonObject;
      if (at === 0) assert.equal(delta['role'], 'assistant', 'the role comes first');
      had.text += delta['content'] ?? '';
      had.reasoning += delta['reasoning_content'] ?? '';
      for (const call of (delta['tool_calls'] ?? []) as JsonObject[]) {
        const index = call['index'] as number;
        const made = call['function'] as JsonObject;
        if (call['id'] !== undefined) {
          assert.equal(index, had.arguments.length, 'calls are numbered one after another');
          had.arguments.push('');
          had.names.push(String(made['name']));
        }
        assert.ok(index < had.arguments.length, 'a call has a head before its arguments');
        had.arguments[index] += String(made['arguments'] ?? '');
      }
    }
  }
  assert.fail('the stream has no end');
}

function readMessages(events: readonly ClientEvent[]): Had {
  const all = events.map(({ type, data }) => ({ type, data: data ?? {} }));
  assert.equal(faultIn(all), null);
  const had: Had = { text: '', reasoning: '', arguments: [], names: [], end: 'error' };
  for (const { type, data } of all) {
    assert.equal(data['type'], type);
    if (type === 'content_block_start') {
      const block = data['content_block'] as JsonObject;
      if (block['type'] === 'tool_use') {
        had.arguments.push('');
        had.names.push(String(block['name']));
      }
    }
    if (type === 'content_block_delta') {
      const { text, thinking, partial_json: piece } = data['delta'] as JsonObject;
      had.text += text ?? '';
      had.reasoning += thinking ?? '';
      if (typeof piece === 'string') had.arguments[had.arguments.length - 1] += piece;
    }
    if (type === 'message_stop') had.end = 'finish';
  }
  return had;
}

function readResponses(events: readonly ClientEvent[]): Had {
  const all = events.map(({ data }) => data as unknown as StreamEvent);
  const whole = checkGrammar(all);
  const had: Had = {
    text: '',
    reasoning: '',
    arguments: [],
    names: [],
    end: whole === null ? 'error' : 'finish',
  };
  const places = new Map<number, number>();
  for (const event of all) {
    switch (event.type) {
      case 'response.output_item.added':
        if (event.item.type !== 'function_call') break;
        places.set(event.output_index, had.arguments.length);
        had.arguments.push('');
        had.names.push(event.item.name);
        break;
      case 'response.function_call_arguments.delta':
        had.arguments[places.get(event.output_index) ?? -1] += event.delta;
        break;
      case 'response.output_text.delta':
        had.text += event.delta;
        break;
      case 'response.reasoning_summary_text.delta':
        had.reasoning += event.delta;
    }
  }
  return had;
}
