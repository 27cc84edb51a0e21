import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { isJsonObject, type Json, type JsonObject } from '../../../src/core/json.ts';
import type { ClientRequest } from '../../../src/dialects/dialect.ts';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { type Event, faultIn } from './grammar.ts';

/** The least that a request says. */
export const ASK = {
  model: 'smart',
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Hi' }],
} satisfies Anthropic.MessageCreateParams;

/** A text without citations, as it is on the wire: Anthropic leaves the member out, its types have it. */
export function textBlock(text: string): Anthropic.TextBlock {
  return { type: 'text', text } as Anthropic.TextBlock;
}

/** A tool, so that thinking is shown as to an agent. */
export const TOOL = {
  name: 'weather',
  description: 'What the weather is',
  input_schema: { type: 'object', properties: { city: { type: 'string' } } },
} satisfies Anthropic.Tool;

export function asBytes(body: unknown): Buffer {
  return Buffer.from(JSON.stringify(body));
}

export function read(body: unknown): ClientRequest {
  return messages.read(asBytes(body));
}

/** What a request becomes in chat, as it is sent. */
export function chatOf(body: unknown): JsonObject {
  const chat = read(body).chat();
  // Notes that are no part of the JSON do not count.
  assert.deepEqual(
    JSON.parse(Buffer.concat(chat.with(new Map())).toString()),
    JSON.parse(JSON.stringify(chat.value)),
  );
  return chat.value;
}

/** The messages of the chat that these messages become. */
export function chatMessages(list: Anthropic.MessageParam[], more: object = {}): unknown {
  return chatOf({ ...ASK, messages: list, ...more })['messages'];
}

/** One chunk of a chat's stream. */
export function chunk(delta: JsonObject, finish: string | null = null): JsonObject {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'gpt-6-sol',
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
}

export function usageChunk(usage: JsonObject): JsonObject {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'gpt-6-sol',
    choices: [],
    usage,
  };
}

/** The events that stand for a whole stream. */
export function present(chunks: readonly JsonObject[], body: object = { ...ASK, tools: [TOOL] }): Buffer {
  const presenter = messages.presenter(read(body), 'id1', 1);
  const pieces = chunks.map((one) => presenter.chunk(one));
  return Buffer.concat([...pieces, presenter.end(false)].filter((piece) => piece !== null));
}

/** The events in these bytes; each must be well-formed by itself. */
export function eventsIn(bytes: Buffer): Event[] {
  const text = bytes.toString();
  if (text === '') return [];
  assert.ok(text.endsWith('\n\n'), 'ends between events');
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => {
      const [first = '', second = '', ...rest] = event.split('\n');
      assert.ok(first.startsWith('event: ') && second.startsWith('data: ') && rest.length === 0, event);
      const type = first.slice('event: '.length);
      const data = JSON.parse(second.slice('data: '.length)) as JsonObject;
      assert.equal(data['type'], type);
      return { type, data };
    });
}

/** The blocks as a client puts them together; what all have alike is left out. */
export function blocksIn(events: readonly Event[]): JsonObject[] {
  const blocks: Record<string, Json>[] = [];
  for (const { type, data } of events) {
    if (type === 'content_block_start') {
      const { caller, citations, input, ...block } = data['content_block'] as JsonObject;
      blocks.push(block);
    }
    const { delta } = data;
    const block = blocks[Number(data['index'])];
    if (type !== 'content_block_delta' || !isJsonObject(delta) || block === undefined) continue;
    for (const [from, to] of GROWING) {
      const more = delta[from];
      if (typeof more === 'string') block[to] = `${block[to] ?? ''}${more}`;
    }
  }
  return blocks;
}

/** The members of deltas, and of the blocks that they are added to. */
const GROWING = [
  ['text', 'text'],
  ['thinking', 'thinking'],
  ['signature', 'signature'],
  ['partial_json', 'json'],
] as const;

/** What the event says that tells why the message ended. */
export function endOf(events: readonly Event[]): { delta: JsonObject; usage: JsonObject } {
  const end = events.find(({ type }) => type === 'message_delta')?.data;
  assert.ok(isJsonObject(end?.['delta']) && isJsonObject(end['usage']));
  return { delta: end['delta'], usage: end['usage'] };
}

/** An answer that a client of Anthropic's is given. */
export interface Served {
  status?: number;
  headers?: Record<string, string>;
  /** Written one after the other. */
  body: readonly Buffer[];
}

/** The official SDK, talking to a server that answers with this. */
export async function sdkFor(t: TestContext, answer: () => Served): Promise<Anthropic> {
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    incoming.on('end', () => {
      const { status = 200, headers = {}, body } = answer();
      outgoing.writeHead(status, headers);
      for (const piece of body) outgoing.write(piece);
      outgoing.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return new Anthropic({ apiKey: 'key', baseURL: `http://127.0.0.1:${port}`, maxRetries: 0 });
}

export const EVENT_STREAM = { 'content-type': 'text/event-stream' };
export const JSON_BODY = { 'content-type': 'application/json' };

/** A piece of a tool call. */
export function piece(index: number, args: string, head: { id?: string; name?: string } = {}): JsonObject {
  const { id, name } = head;
  return {
    tool_calls: [
      {
        index,
        ...(id === undefined ? {} : { id, type: 'function' }),
        function: { ...(name === undefined ? {} : { name }), arguments: args },
      },
    ],
  };
}

export function told(deltas: readonly JsonObject[], body?: object): Event[] {
  const events = eventsIn(present([...deltas.map((delta) => chunk(delta)), chunk({}, 'stop')], body));
  assert.equal(faultIn(events), null);
  return events;
}

export function blocksOf(deltas: readonly JsonObject[], body?: object): JsonObject[] {
  return blocksIn(told(deltas, body));
}
