import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { chatAnswer, chatStream, named, plain, reset, stream } from '../support/upstream.ts';
import { HELLO, message, relayed, WEATHER } from './kit.ts';

const TEXT: Anthropic.TextBlock = { type: 'text', text: 'Hello', citations: null };

/** What Anthropic streams of a text. */
function events(): string[] {
  const { usage, ...rest } = message([]);
  return [
    named('message_start', { type: 'message_start', message: { ...rest, stop_reason: null, usage } }),
    named('ping', { type: 'ping' }),
    named('content_block_start', {
      type: 'content_block_start',
      index: 0,
      content_block: { ...TEXT, text: '' },
    }),
    ...['Hel', 'lo'].map((text) =>
      named('content_block_delta', {
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'text_delta', text },
      }),
    ),
    named('content_block_stop', { type: 'content_block_stop', index: 0 }),
    named('message_delta', {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null, stop_details: null, container: null },
      usage: { output_tokens: 9, input_tokens: 20 },
    }),
    named('message_stop', { type: 'message_stop' }),
  ];
}

test('between Anthropic and its client an answer passes as it is', async (t) => {
  const { client, claude } = await relayed(t);
  const native = { ...message([TEXT]), something_new: { a: 1 } };
  claude.enqueue(plain({ json: native }));
  const asked = { ...HELLO, model: 'claude', context_management: { edits: [] }, something_else: 7 };
  const { data, response } = await client.messages
    .create(asked as Anthropic.MessageCreateParamsNonStreaming)
    .withResponse();
  assert.deepEqual(data, native);
  assert.equal(response.headers.get('x-spillway-dropped'), null);
  const request = await claude.nextRequest();
  assert.equal(request.path, '/v1/messages');
  assert.equal(request.headers['x-api-key'], 'sk-a');
  assert.deepEqual(request.json(), { ...asked, model: 'claude-opus-5' });
});

test('so does a stream, to its last event and with nothing after it', async (t) => {
  const { client, claude, gateway } = await relayed(t);
  claude.enqueue(stream(events(), { done: false }), stream(events(), { done: false }));
  const final = await client.messages.stream({ ...HELLO, model: 'claude' }).finalMessage();
  assert.deepEqual(final.content, [TEXT]);
  const response = await fetch(`${gateway.origin}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...HELLO, model: 'claude', stream: true }),
  });
  const types = (await response.text()).match(/(?<=^event: ).*$/gm);
  assert.deepEqual(
    types?.filter((type) => type !== 'ping'),
    [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  );
});

test('a native stream that breaks is an error to the SDK', async (t) => {
  const { client, claude } = await relayed(t);
  claude.enqueue(stream([...events().slice(0, 4), reset()], { done: false }));
  await assert.rejects(
    client.messages.stream({ ...HELLO, model: 'claude' }).finalMessage(),
    Anthropic.APIError,
  );
});

test('a count of tokens is left to Anthropic where it serves', async (t) => {
  const { client, claude } = await relayed(t);
  claude.enqueue(plain({ json: { input_tokens: 2095 } }));
  const counted = await client.messages.countTokens({ model: 'claude', messages: HELLO.messages });
  assert.deepEqual(counted, { input_tokens: 2095 });
  assert.equal((await claude.nextRequest()).path, '/v1/messages/count_tokens');
});

test('what only Anthropic has goes to Anthropic', async (t) => {
  const { client, claude, openai } = await relayed(t);
  claude.enqueue(plain({ json: message([TEXT]) }));
  const search: Anthropic.WebSearchTool20250305 = { type: 'web_search_20250305', name: 'web_search' };
  const { response } = await client.messages
    .create({ ...HELLO, model: 'either', tools: [search] })
    .withResponse();
  assert.equal(response.headers.get('x-spillway-target'), 'a/claude-opus-5');
  assert.equal(openai.requests.length, 0);
});

const OVERLOADED = plain({
  status: 529,
  json: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' }, request_id: 'req_1' },
});

for (const streaming of [false, true]) {
  const how = streaming ? 'streamed' : 'whole';
  test(`a loop goes on at a host of OpenAI's in the middle, and back at Anthropic's, ${how}`, async (t) => {
    const { client, claude, openai } = await relayed(t);
    const ask = async (messages: Anthropic.MessageParam[]) => {
      const body = { ...HELLO, messages, model: 'both', tools: [WEATHER] };
      return streaming
        ? await client.messages.stream(body).finalMessage()
        : await client.messages.create(body);
    };
    const thought: Anthropic.ThinkingBlock = { type: 'thinking', thinking: 'Rome first.', signature: 'sig1' };
    const first: Anthropic.ToolUseBlock = {
      type: 'tool_use',
      id: 'toolu_1',
      name: 'weather',
      input: { city: 'Rome' },
      caller: { type: 'direct' },
    };
    const messages: Anthropic.MessageParam[] = [
      { role: 'user', content: 'Where?' },
      { role: 'assistant', content: [thought, first] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'sun' }] },
    ];
    const call = { id: 'functions.weather:1', name: 'weather', arguments: '{"city":"Oslo"}' };
    claude.enqueue(OVERLOADED);
    openai.enqueue(
      streaming
        ? chatStream({ reasoning: ['And Oslo.'], toolCalls: [call] })
        : chatAnswer({ toolCalls: [call] }),
    );
    const second = await ask(messages);
    assert.equal(second.stop_reason, 'tool_use');
    const taken = (await openai.nextRequest()).json()['messages'] as {
      thinking_blocks?: unknown;
      reasoning_content?: unknown;
    }[];
    assert.equal(taken[1]?.reasoning_content, 'Rome first.');

    messages.push({ role: 'assistant', content: second.content });
    messages.push({
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: call.id, content: 'snow' }],
    });
    claude.enqueue(streaming ? stream(events(), { done: false }) : plain({ json: message([TEXT]) }));
    const third = await ask(messages);
    assert.deepEqual(third.content, [TEXT]);
    const sent = claude.requests.at(-1)?.json<Anthropic.MessageCreateParams>().messages ?? [];
    // Claude's own thought is there as it was, the other's is not; and the id is one that Anthropic takes.
    assert.deepEqual(sent[1], messages[1]);
    const [use, ...others] = (sent[3]?.content ?? []) as Anthropic.ToolUseBlock[];
    const [result] = (sent[4]?.content ?? []) as Anthropic.ToolResultBlockParam[];
    assert.deepEqual(others, []);
    assert.deepEqual([use?.type, use?.input], ['tool_use', { city: 'Oslo' }]);
    assert.match(use?.id ?? '', /^[\w-]+$/);
    assert.equal(result?.tool_use_id, use?.id);
  });
}
