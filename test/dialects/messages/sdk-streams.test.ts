import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { noteSignedBefore } from '../../../src/chat/signed-before.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { ASK, chunk, EVENT_STREAM, present, read, sdkFor, TOOL, usageChunk } from './kit.ts';

const AGENT = { ...ASK, tools: [TOOL] };

function call(index: number, args: string, id?: string): JsonObject {
  const head = id === undefined ? {} : { id, type: 'function' };
  return { tool_calls: [{ index, ...head, function: { name: 'weather', arguments: args } }] };
}

function conversation(): JsonObject[] {
  const signed = chunk({ content: 'Let me see – ' });
  noteSignedBefore(signed, [{ type: 'thinking', thinking: 'Two cities…', signature: 'sig1' }]);
  return [
    chunk({ role: 'assistant', content: '' }),
    chunk({ reasoning_content: 'Two ' }),
    chunk({ reasoning_content: 'cities…' }),
    signed,
    chunk({ content: '☀?' }),
    chunk(call(0, '{"city":', 'call_1')),
    chunk(call(1, '{"city":"Pa', 'call_2')),
    chunk(call(0, '"Rome ☀"}')),
    chunk(call(1, 'ris"}')),
    chunk({}, 'tool_calls'),
    usageChunk({ prompt_tokens: 30, completion_tokens: 9, prompt_tokens_details: { cached_tokens: 20 } }),
  ];
}

function check(message: Anthropic.Message): void {
  const caller = { type: 'direct' } as const;
  assert.deepEqual(JSON.parse(JSON.stringify(message.content)), [
    { type: 'thinking', thinking: 'Two cities…', signature: 'sig1' },
    { type: 'text', text: 'Let me see – ☀?' },
    { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Rome ☀' }, caller },
    { type: 'tool_use', id: 'call_2', name: 'weather', input: { city: 'Paris' }, caller },
  ]);
  assert.equal(message.id, 'msg_id1');
  assert.equal(message.model, 'gpt-6-sol');
  assert.equal(message.stop_reason, 'tool_use');
  assert.equal(message.usage.input_tokens, 10);
  assert.equal(message.usage.cache_read_input_tokens, 20);
  assert.equal(message.usage.output_tokens, 9);
}

test('the official SDK puts a stream together', async (t) => {
  const client = await sdkFor(t, () => ({ headers: EVENT_STREAM, body: [present(conversation())] }));
  const stream = client.messages.stream(AGENT);
  const seen: string[] = [];
  stream.on('text', (text) => seen.push(`text ${text}`));
  stream.on('thinking', (text) => seen.push(`thinking ${text}`));
  stream.on('signature', (text) => seen.push(`signature ${text}`));
  stream.on('contentBlock', ({ type }) => seen.push(`block ${type}`));
  check(await stream.finalMessage());
  assert.deepEqual(seen, [
    'thinking Two ',
    'thinking cities…',
    'signature sig1',
    'block thinking',
    'text Let me see – ',
    'text ☀?',
    'block text',
    'block tool_use',
    'block tool_use',
  ]);
});

test('the official SDK reads the raw events of a stream, with pings in between', async (t) => {
  const presenter = messages.presenter(read(AGENT), 'id1', 1);
  const body = conversation().flatMap((one) => [presenter.chunk(one), presenter.ping]);
  body.push(presenter.end(false));
  const pieces = body.filter((piece) => piece !== null);
  const client = await sdkFor(t, () => ({ headers: EVENT_STREAM, body: pieces }));
  const types: string[] = [];
  for await (const event of await client.messages.create({ ...AGENT, stream: true })) types.push(event.type);
  assert.deepEqual(types.slice(0, 2), ['message_start', 'content_block_start']);
  assert.deepEqual(types.slice(-2), ['message_delta', 'message_stop']);
  assert.equal(types.filter((type) => type === 'content_block_stop').length, 4);
});

test('the official SDK reads a stream that comes byte by byte', async () => {
  const bytes = present(conversation());
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const client = new Anthropic({
    apiKey: 'key',
    fetch: async () => new Response(body, { headers: EVENT_STREAM }),
  });
  check(await client.messages.stream(AGENT).finalMessage());
});

test('wherever a stream breaks, the official SDK has an error and no message', async () => {
  const all = conversation();
  for (let count = 0; count < all.length; count++) {
    const presenter = messages.presenter(read(AGENT), 'id1', 1);
    const pieces = all.slice(0, count).map((one) => presenter.chunk(one));
    pieces.push(presenter.error({ message: 'It broke.', type: 'server_error', code: 'stream_interrupted' }));
    const bytes = Buffer.concat(pieces.filter((piece) => piece !== null));
    const fetch = async () => new Response(bytes, { headers: EVENT_STREAM });
    const client = new Anthropic({ apiKey: 'key', fetch });
    await assert.rejects(client.messages.stream(AGENT).finalMessage(), (error: unknown) => {
      assert.ok(error instanceof Anthropic.APIError);
      assert.equal(error.type, 'api_error');
      assert.equal(error.apiMessage, 'It broke.');
      return true;
    });
  }
});

test('a text of the answer can be read without looking at the kinds of blocks, by whom thinking is not expected', async (t) => {
  const chunks = [chunk({ reasoning_content: 'Hm' }), chunk({ content: 'Yes' }), chunk({}, 'stop')];
  const client = await sdkFor(t, () => ({ headers: EVENT_STREAM, body: [present(chunks, ASK)] }));
  assert.equal(await client.messages.stream(ASK).finalText(), 'Yes');
});

test('what the SDK has put together goes back as the conversation that it was', async (t) => {
  const client = await sdkFor(t, () => ({ headers: EVENT_STREAM, body: [present(conversation())] }));
  const { content } = await client.messages.stream(AGENT).finalMessage();
  const list = [...ASK.messages, { role: 'assistant', content }];
  const chat = read({ ...AGENT, messages: list }).chat().value['messages'];
  assert.deepEqual((chat as unknown[])[1], {
    role: 'assistant',
    content: 'Let me see – ☀?',
    reasoning_content: 'Two cities…',
    thinking_blocks: [{ type: 'thinking', thinking: 'Two cities…', signature: 'sig1' }],
    tool_calls: [
      { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome ☀"}' } },
      { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
    ],
  });
});

test('the official SDK has the same usage of a stream as of the whole answer, and nothing of a cache that was not counted', async (t) => {
  const usage = {
    prompt_tokens: 400,
    completion_tokens: 9,
    prompt_tokens_details: { cached_tokens: 20, cache_write_tokens: 300 },
    completion_tokens_details: { reasoning_tokens: 4 },
  };
  const [first = {}, ...others] = [chunk({ content: 'Hi' }), chunk({}, 'stop'), usageChunk(usage)];
  const chunks = [{ ...first, service_tier: 'default' }, ...others];
  const client = await sdkFor(t, () => ({ headers: EVENT_STREAM, body: [present(chunks)] }));
  const { usage: streamed } = await client.messages.stream(AGENT).finalMessage();
  const completion = {
    model: 'gpt-6-sol',
    service_tier: 'default',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
    usage,
  };
  const whole = messages.answer(completion, read(AGENT), 'id1')['usage'] as JsonObject;
  assert.equal(whole['cache_creation_input_tokens'], 300);
  assert.equal(whole['service_tier'], 'standard');
  assert.deepEqual(streamed, { ...whole, cache_creation: null });
});
