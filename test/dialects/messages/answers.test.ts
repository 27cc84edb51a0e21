import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import type { JsonObject } from '../../../src/core/json.ts';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { ASK, asBytes, JSON_BODY, read, sdkFor, TOOL, textBlock } from './kit.ts';

const AGENT = { ...ASK, tools: [TOOL] };

function completion(message: JsonObject, finish: string | null = 'stop', more: JsonObject = {}): JsonObject {
  const choice = {
    index: 0,
    message: { role: 'assistant', content: null, ...message },
    finish_reason: finish,
  };
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'gpt-6-sol',
    choices: [choice],
    ...more,
  };
}

function answer(said: JsonObject, body: object = AGENT): Anthropic.Message {
  return messages.answer(said, read(body), 'id1') as unknown as Anthropic.Message;
}

function blocks(message: JsonObject, body: object = AGENT): Anthropic.ContentBlock[] {
  return answer(completion(message), body).content;
}

const NO_TOKENS: Anthropic.Usage = {
  input_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 0,
  output_tokens_details: { thinking_tokens: 0 },
  cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
  inference_geo: null,
  server_tool_use: null,
  service_tier: null,
  speed: null,
};

test('an answer has every member that a message of Anthropic has', () => {
  const said: OpenAI.ChatCompletion = {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'gpt-6-sol',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Hello', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
  };
  assert.deepEqual(answer(said as unknown as JsonObject, ASK), {
    id: 'msg_id1',
    type: 'message',
    role: 'assistant',
    model: 'gpt-6-sol',
    content: [textBlock('Hello')],
    container: null,
    diagnostics: null,
    stop_details: null,
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: NO_TOKENS,
  } satisfies Anthropic.Message);
});

test('calls of tools become blocks with their input', () => {
  const calls = [
    { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
    { id: 'call_2', type: 'function', function: { name: 'time', arguments: '' } },
    { id: '', type: 'function', function: { name: 'time', arguments: 'null' } },
    { type: 'function', function: { name: 'time', arguments: { at: 'noon' } } },
  ];
  const said = answer(completion({ content: 'See:', tool_calls: calls }, 'tool_calls'));
  const caller = { type: 'direct' } as const;
  assert.deepEqual(said.content, [
    textBlock('See:'),
    { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Rome' }, caller },
    { type: 'tool_use', id: 'call_2', name: 'time', input: {}, caller },
    { type: 'tool_use', id: 'toolu_id1_2', name: 'time', input: {}, caller },
    { type: 'tool_use', id: 'toolu_id1_3', name: 'time', input: { at: 'noon' }, caller },
  ] satisfies Anthropic.ContentBlock[]);
  assert.equal(said.stop_reason, 'tool_use');
});

test('arguments that are no object are told, and never taken for none', () => {
  for (const text of ['{"city":"Ro', '[1]', '7', '{}{"a":1}', 'drop everything']) {
    const calls = [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: text } }];
    const [block] = blocks({ tool_calls: calls });
    assert.deepEqual(block?.type === 'tool_use' && block.input, { INVALID_JSON: text });
  }
});

test('a name that was shortened for chat is whole again', () => {
  const name = `mcp__${'server_'.repeat(12)}__do`;
  const body = { ...AGENT, tools: [{ ...TOOL, name }] };
  const [tool] = read(body).chat().value['tools'] as { function: { name: string } }[];
  const calls = [
    { id: 'call_1', type: 'function', function: { name: tool?.function.name ?? '', arguments: '{}' } },
  ];
  const [block] = blocks({ tool_calls: calls }, body);
  assert.equal(block?.type === 'tool_use' && block.name, name);
});

test('signed thinking comes first, as it was signed, and its origin is kept', () => {
  const message = {
    content: 'Hello',
    reasoning_content: 'First. Then.',
    thinking_blocks: [
      { type: 'thinking', thinking: 'First.', signature: 'sig1' },
      { type: 'redacted_thinking', data: 'secret' },
      { type: 'thinking', thinking: 'Then.', signature: 'sig2', origin: 'bedrock' },
      { type: 'redacted_thinking', data: 'more', origin: 'bedrock' },
      { type: 'thinking', thinking: 'Nobody signed it.', signature: '' },
      { type: 'else' },
      null,
    ],
  };
  const content = blocks(message);
  assert.deepEqual(content, [
    { type: 'thinking', thinking: 'First.', signature: 'sig1' },
    { type: 'redacted_thinking', data: 'secret' },
    { type: 'thinking', thinking: 'Then.', signature: 'spillway:bedrock:sig2' },
    { type: 'redacted_thinking', data: 'spillway:bedrock:more' },
    textBlock('Hello'),
  ] satisfies Anthropic.ContentBlock[]);
  // What the client hands back is what the model gave.
  const back = read({ ...ASK, messages: [{ role: 'assistant', content }] }).chat().value['messages'];
  assert.deepEqual(
    (back as { thinking_blocks: unknown }[])[0]?.thinking_blocks,
    message.thinking_blocks.slice(0, 4),
  );
});

test('thinking that nobody signed has an empty signature, by whatever name it comes', () => {
  const thought = [{ type: 'thinking', thinking: 'Hm.', signature: '' }];
  const parts = [
    { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
    { type: 'text', text: 'Yes' },
  ];
  const text = textBlock('Yes');
  assert.deepEqual(blocks({ reasoning_content: 'Hm.', content: 'Yes' }), [...thought, text]);
  assert.deepEqual(blocks({ reasoning: 'Hm.', content: 'Yes' }), [...thought, text]);
  assert.deepEqual(blocks({ reasoning: 'In other words.', reasoning_content: 'Hm.' }), thought);
  assert.deepEqual(blocks({ content: parts }), [...thought, text]);
});

test('thinking is shown to those who expect it', () => {
  const shown = (body: object) =>
    blocks({ reasoning_content: 'Hm.', content: 'Yes' }, { ...ASK, ...body }).length === 2;
  assert.equal(shown({}), false);
  assert.equal(shown({ tools: [] }), false);
  assert.equal(shown({ tools: [TOOL] }), true);
  assert.equal(shown({ tools: [TOOL], thinking: { type: 'disabled' } }), true);
  assert.equal(shown({ thinking: { type: 'disabled' } }), false);
  assert.equal(shown({ thinking: { type: 'adaptive' } }), true);
  assert.equal(shown({ thinking: { type: 'enabled', budget_tokens: 2000 } }), true);
  assert.equal(shown({ output_config: { effort: 'low' } }), true);
});

test('why it ended, in the words of Anthropic', () => {
  const call = { tool_calls: [{ id: 'a', type: 'function', function: { name: 'b', arguments: '{}' } }] };
  const reason = (finish: string | null, message: JsonObject = { content: 'a' }) =>
    answer(completion(message, finish)).stop_reason;
  assert.equal(reason('stop'), 'end_turn');
  assert.equal(reason('length'), 'max_tokens');
  assert.equal(reason('content_filter'), 'refusal');
  assert.equal(reason('tool_calls', call), 'tool_use');
  assert.equal(reason('stop', call), 'tool_use');
  assert.equal(reason('length', call), 'max_tokens');
  assert.equal(reason('something_new'), 'end_turn');
  assert.equal(reason(null), 'end_turn');
  // Nothing waits for a result that no call asks for.
  assert.equal(reason('tool_calls'), 'end_turn');
});

test('a refusal is told as a text and explains why it ended', () => {
  const said = answer(completion({ refusal: 'I will not.' }));
  assert.deepEqual(said.content, [textBlock('I will not.')]);
  assert.equal(said.stop_reason, 'refusal');
  assert.deepEqual(said.stop_details, { type: 'refusal', category: null, explanation: 'I will not.' });
  const filtered = answer(completion({ content: 'So far' }, 'content_filter'));
  assert.deepEqual(filtered.stop_details, { type: 'refusal', category: null, explanation: null });
  assert.equal(answer(completion({ content: 'a' })).stop_details, null);
});

test('tokens are counted as Anthropic counts them', () => {
  const usage = {
    prompt_tokens: 100,
    completion_tokens: 30,
    total_tokens: 130,
    prompt_tokens_details: { cached_tokens: 40, cache_write_tokens: 25, cache_write_1h_tokens: 10 },
    completion_tokens_details: { reasoning_tokens: 12 },
  };
  assert.deepEqual(answer(completion({ content: 'a' }, 'stop', { usage, service_tier: 'priority' })).usage, {
    ...NO_TOKENS,
    input_tokens: 35,
    cache_read_input_tokens: 40,
    cache_creation_input_tokens: 25,
    cache_creation: { ephemeral_5m_input_tokens: 15, ephemeral_1h_input_tokens: 10 },
    output_tokens: 30,
    output_tokens_details: { thinking_tokens: 12 },
    service_tier: 'priority',
  });
  assert.equal(answer(completion({}, 'stop', { service_tier: 'default' })).usage.service_tier, 'standard');
  assert.equal(answer(completion({}, 'stop', { service_tier: 'flex' })).usage.service_tier, null);
});

test('links that an answer rests on become citations', () => {
  const annotations = [
    { type: 'url_citation', url_citation: { url: 'https://a.b', title: 'A', start_index: 0, end_index: 2 } },
    { type: 'url_citation', url_citation: { url: 'https://c.d' } },
    { type: 'url_citation', url_citation: { title: 'nowhere' } },
    { type: 'url_citation', url_citation: { url: '' } },
    { type: 'file_citation' },
    7,
  ];
  const cited = { type: 'web_search_result_location', cited_text: '', encrypted_index: '' } as const;
  assert.deepEqual(blocks({ content: 'It is', annotations }), [
    {
      type: 'text',
      text: 'It is',
      citations: [
        { ...cited, url: 'https://a.b', title: 'A' },
        { ...cited, url: 'https://c.d', title: null },
      ],
    },
  ] satisfies Anthropic.ContentBlock[]);
});

test('whatever comes in place of a completion, a message comes out', () => {
  const odd: JsonObject[] = [
    {},
    { choices: [] },
    { choices: 'none' },
    { choices: [null] },
    { choices: [{ message: 7 }], usage: 'much', model: 5 },
    completion({ content: 5, tool_calls: 'many', thinking_blocks: {}, annotations: {} }),
    completion({ content: [null, 5, {}, { type: 'text', text: 7 }], tool_calls: [null, 5] }),
  ];
  for (const one of odd) {
    const said = answer(one);
    assert.deepEqual(said.content, []);
    assert.equal(said.stop_reason, 'end_turn');
    assert.ok(said.model === 'smart' || said.model === 'gpt-6-sol');
  }
  assert.deepEqual(blocks({ tool_calls: [{}] }), [
    { type: 'tool_use', id: 'toolu_id1_0', name: '', input: {}, caller: { type: 'direct' } },
  ]);
});

test('the official SDK reads an answer and its parts', async (t) => {
  const calls = [
    { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
  ];
  const said = messages.answer(
    completion({ content: 'See:', tool_calls: calls }, 'tool_calls'),
    read(AGENT),
    'id1',
  );
  const client = await sdkFor(t, () => ({ headers: JSON_BODY, body: [asBytes(said)] }));
  const message = await client.messages.create(AGENT);
  assert.equal(message.stop_reason, 'tool_use');
  assert.deepEqual(
    message.content.map((block) => (block.type === 'tool_use' ? block.input : block.type)),
    ['text', { city: 'Rome' }],
  );
});

test('an error has the shape and the type that belong to its status', () => {
  const fields = { message: 'No.', type: 'server_error', param: null, code: 'upstream_error' };
  const types: [number, string][] = [
    [400, 'invalid_request_error'],
    [401, 'authentication_error'],
    [402, 'billing_error'],
    [403, 'permission_error'],
    [404, 'not_found_error'],
    [405, 'invalid_request_error'],
    [408, 'timeout_error'],
    [409, 'conflict_error'],
    [413, 'request_too_large'],
    [422, 'invalid_request_error'],
    [429, 'rate_limit_error'],
    [500, 'api_error'],
    [502, 'api_error'],
    [503, 'overloaded_error'],
    [504, 'timeout_error'],
    [529, 'overloaded_error'],
  ];
  for (const [status, type] of types) {
    const expected = { type: 'error', error: { type, message: 'No.' }, request_id: 'req-1' };
    assert.deepEqual(messages.error(fields, status, 'req-1'), expected);
  }
});

test('an error says what it is about, once', () => {
  const messageOf = (message: string, param: string | null) =>
    messages.error({ message, type: 'invalid_request_error', param, code: 'invalid_value' }, 400, 'r')[
      'error'
    ];
  const type = 'invalid_request_error';
  assert.deepEqual(messageOf('It must be a list.', 'tools'), { type, message: 'tools: It must be a list.' });
  assert.deepEqual(messageOf("Invalid 'tools'.", 'tools'), { type, message: "Invalid 'tools'." });
});

test('the official SDK makes its own errors of ours', async (t) => {
  const fields = { message: 'Slower.', type: 'requests', param: null, code: 'rate_limit_exceeded' };
  const body = [asBytes(messages.error(fields, 429, 'req-1'))];
  const client = await sdkFor(t, () => ({ status: 429, headers: JSON_BODY, body }));
  await assert.rejects(client.messages.create(ASK), (error: unknown) => {
    assert.ok(error instanceof Anthropic.RateLimitError);
    assert.equal(error.type, 'rate_limit_error');
    assert.equal(error.apiMessage, 'Slower.');
    return true;
  });
});
