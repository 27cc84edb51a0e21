import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Anthropic from '@anthropic-ai/sdk';
import { isJsonObject, type JsonObject } from '../../../src/core/json.ts';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { faultIn } from './grammar.ts';
import {
  ASK,
  blocksIn,
  chunk,
  endOf,
  eventsIn,
  piece,
  present,
  read,
  TOOL,
  textBlock,
  told,
  usageChunk,
} from './kit.ts';

test('a text comes in the sequence of events that Anthropic documents', () => {
  const usage = {
    prompt_tokens: 20,
    completion_tokens: 5,
    prompt_tokens_details: { cached_tokens: 8, cache_write_tokens: 2 },
    completion_tokens_details: { reasoning_tokens: 1 },
  };
  const chunks = [
    chunk({ role: 'assistant', content: '' }),
    chunk({ content: 'Hel' }),
    chunk({ content: 'lo' }),
    chunk({}, 'stop'),
    usageChunk(usage),
  ];
  const expected: Anthropic.RawMessageStreamEvent[] = [
    {
      type: 'message_start',
      message: {
        id: 'msg_id1',
        type: 'message',
        role: 'assistant',
        model: 'gpt-6-sol',
        content: [],
        container: null,
        diagnostics: null,
        stop_details: null,
        stop_reason: null,
        stop_sequence: null,
        usage: {
          input_tokens: 0,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens: 0,
          output_tokens_details: { thinking_tokens: 0 },
          cache_creation: null,
          inference_geo: null,
          server_tool_use: null,
          service_tier: null,
          speed: null,
        },
      },
    },
    { type: 'content_block_start', index: 0, content_block: textBlock('') },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } },
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null, stop_details: null, container: null },
      usage: {
        input_tokens: 10,
        cache_creation_input_tokens: 2,
        cache_read_input_tokens: 8,
        output_tokens: 5,
        output_tokens_details: { thinking_tokens: 1 },
        server_tool_use: null,
      },
    },
    { type: 'message_stop' },
  ];
  const events = eventsIn(present(chunks));
  assert.deepEqual(
    events.map(({ data }) => data),
    expected,
  );
  assert.equal(faultIn(events), null);
});

test('each chunk is told as soon as it comes', () => {
  const presenter = messages.presenter(read({ ...ASK, tools: [TOOL] }), 'id1', 1);
  const types = (one: JsonObject) =>
    eventsIn(presenter.chunk(one) ?? Buffer.alloc(0)).map(({ type }) => type);
  assert.deepEqual(types(chunk({ role: 'assistant' })), ['message_start']);
  assert.deepEqual(types(chunk({})), []);
  assert.deepEqual(types(chunk({ content: 'a' })), ['content_block_start', 'content_block_delta']);
  assert.deepEqual(types(chunk(piece(0, '', { id: 'call_1', name: 'weather' }))), [
    'content_block_stop',
    'content_block_start',
  ]);
  assert.deepEqual(types(chunk(piece(0, '{"ci'))), ['content_block_delta']);
  assert.deepEqual(types(chunk(piece(0, 'ty":1}'))), ['content_block_delta']);
  assert.deepEqual(types(chunk(piece(1, '{}', { id: 'call_2', name: 'time' }))), [
    'content_block_stop',
    'content_block_start',
    'content_block_delta',
  ]);
  assert.deepEqual(types(chunk({}, 'tool_calls')), ['content_block_stop']);
  assert.deepEqual(types(usageChunk({ prompt_tokens: 1 })), []);
  assert.deepEqual(
    eventsIn(presenter.end(false) ?? Buffer.alloc(0)).map(({ type }) => type),
    ['message_delta', 'message_stop'],
  );
});

test('a refusal is told as a text and explains why it ended', () => {
  const events = told([{ content: 'Well, ' }, { refusal: 'I will ' }, { refusal: 'not.' }]);
  assert.deepEqual(blocksIn(events), [{ type: 'text', text: 'Well, I will not.' }]);
  const { delta } = endOf(events);
  assert.equal(delta['stop_reason'], 'refusal');
  assert.deepEqual(delta['stop_details'], { type: 'refusal', category: null, explanation: 'I will not.' });
});

test('why it ended, in the words of Anthropic', () => {
  const reason = (finish: string, delta: JsonObject = { content: 'a' }) => {
    const { delta: last } = endOf(eventsIn(present([chunk(delta), chunk({}, finish)])));
    return last['stop_reason'];
  };
  const call = piece(0, '{}', { id: 'call_1', name: 'one' });
  assert.equal(reason('stop'), 'end_turn');
  assert.equal(reason('length'), 'max_tokens');
  assert.equal(reason('content_filter'), 'refusal');
  assert.equal(reason('tool_calls', call), 'tool_use');
  assert.equal(reason('stop', call), 'tool_use');
  assert.equal(reason('length', call), 'max_tokens');
});

test('links become citations of the text that rests on them', () => {
  const annotations = [{ type: 'url_citation', url_citation: { url: 'https://a.b', title: 'A' } }];
  const events = told([{ annotations }, { content: 'It is' }, { annotations }]);
  const cited = events.filter(
    ({ data }) => (data['delta'] as JsonObject | undefined)?.['type'] === 'citations_delta',
  );
  assert.deepEqual(
    cited.map(({ data }) => data),
    [
      {
        type: 'content_block_delta',
        index: 0,
        delta: {
          type: 'citations_delta',
          citation: {
            type: 'web_search_result_location',
            url: 'https://a.b',
            title: 'A',
            cited_text: '',
            encrypted_index: '',
          },
        },
      },
    ],
  );
  // They wait with their text.
  const waiting = told([
    piece(0, '{', { id: 'call_1', name: 'one' }),
    { content: 'It is' },
    { annotations },
    piece(0, '}'),
  ]);
  assert.equal(waiting.filter(({ data }) => JSON.stringify(data).includes('citations_delta')).length, 1);
});

test('the tokens are those that were reported last, wherever they stand', () => {
  const tokensOf = (chunks: JsonObject[]) => {
    const { usage } = endOf(eventsIn(present(chunks)));
    return [usage['input_tokens'], usage['output_tokens']];
  };
  const end = { ...chunk({}, 'stop'), usage: { prompt_tokens: 3, completion_tokens: 4 } };
  assert.deepEqual(tokensOf([chunk({ content: 'a' }), end]), [3, 4]);
  assert.deepEqual(tokensOf([end, usageChunk({ prompt_tokens: 3, completion_tokens: 5 })]), [3, 5]);
  assert.deepEqual(tokensOf([{ ...end, usage: null, x_groq: { usage: { prompt_tokens: 6 } } }]), [6, 0]);
  assert.deepEqual(tokensOf([chunk({}, 'stop')]), [0, 0]);
});

test('only the first choice is told', () => {
  const both = chunk({ content: 'a' });
  (both['choices'] as JsonObject[]).unshift({ index: 1, delta: { content: 'b' }, finish_reason: null });
  const events = eventsIn(present([both, chunk({}, 'stop')]));
  assert.deepEqual(blocksIn(events), [{ type: 'text', text: 'a' }]);
});

test('a stream of nothing is a whole message all the same', () => {
  const events = eventsIn(present([]));
  assert.equal(faultIn(events), null);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['message_start', 'message_delta', 'message_stop'],
  );
  assert.ok(isJsonObject(events[0]?.data['message']));
  assert.equal(events[0].data['message']['model'], 'smart');
});

test('of a native stream only the last event is left to tell', () => {
  const presenter = messages.presenter(read(ASK), 'id1', 1);
  assert.equal(presenter.end(true)?.toString(), 'event: message_stop\ndata: {"type":"message_stop"}\n\n');
  assert.equal(presenter.end(true), null);
});

test('a broken stream ends in an error, and in nothing else', () => {
  const codes: [string, string][] = [
    ['stream_interrupted', 'api_error'],
    ['upstream_rate_limited', 'rate_limit_error'],
    ['server_is_overloaded', 'overloaded_error'],
    ['upstream_timeout', 'timeout_error'],
    ['whatever', 'api_error'],
    ['__proto__', 'api_error'],
  ];
  for (const [code, type] of codes) {
    const presenter = messages.presenter(read(ASK), 'id1', 1);
    const begun = presenter.chunk(chunk({ content: 'So' })) ?? Buffer.alloc(0);
    const error = presenter.error({ message: 'It broke.', type: 'server_error', code });
    const expected = { type: 'error', error: { type, message: 'It broke.' } };
    assert.equal(error.toString(), `event: error\ndata: ${JSON.stringify(expected)}\n\n`);
    assert.equal(faultIn(eventsIn(Buffer.concat([begun, error]))), null);
    assert.equal(presenter.chunk(chunk({ content: 'more' })), null);
    assert.equal(presenter.end(false), null);
    assert.equal(presenter.error({ message: 'Again.', type: 'server_error', code }).length, 0);
  }
});

test('a quiet stream is kept open by the event that Anthropic has for it', () => {
  const { ping } = messages.presenter(read(ASK), 'id1', 1);
  assert.equal(ping.toString(), 'event: ping\ndata: {"type":"ping"}\n\n');
});
