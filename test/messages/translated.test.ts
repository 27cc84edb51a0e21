import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic, { type APIError } from '@anthropic-ai/sdk';
import { apiError, chatAnswer, chatStream, reset } from '../support/upstream.ts';
import { HELLO, relayed, sdk, WEATHER } from './kit.ts';

test('an answer of a host that speaks OpenAI comes as a message', async (t) => {
  const { client, openai, gateway } = await relayed(t);
  const { data, response } = await client.messages
    .create({ ...HELLO, model: 'm', system: 'Be brief.' })
    .withResponse();
  assert.deepEqual(data.content, [{ type: 'text', text: 'Hello from upstream.' }]);
  assert.match(data.id, /^msg_\w/);
  assert.equal(data.model, 'some-model');
  assert.equal(data.stop_reason, 'end_turn');
  assert.deepEqual([data.usage.input_tokens, data.usage.output_tokens], [9, 12]);
  assert.equal(response.headers.get('x-spillway-target'), 'o/some-model');
  const request = await openai.nextRequest();
  assert.equal(request.path, '/v1/chat/completions');
  assert.deepEqual(request.json(), {
    model: 'some-model',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ],
    max_tokens: 100,
  });
  assert.equal(request.headers['anthropic-version'], undefined);
  assert.equal(request.headers['x-api-key'], undefined);
  const [line] = await gateway.ended(1);
  assert.equal(line?.status, 200);
  assert.equal(line?.tokens?.output, 12);
});

test('a stream of such a host comes as the events of Anthropic', async (t) => {
  const { client, openai } = await relayed(t);
  openai.enqueue(
    chatStream({
      reasoning: ['Let me ', 'think.'],
      content: ['Hel', 'lo'],
      usage: { prompt_tokens: 30, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 20 } },
    }),
  );
  const stream = client.messages.stream({ ...HELLO, model: 'm', thinking: { type: 'adaptive' } });
  const texts: string[] = [];
  stream.on('text', (text) => texts.push(text));
  const message = await stream.finalMessage();
  assert.deepEqual(texts, ['Hel', 'lo']);
  assert.deepEqual(message.content, [
    { type: 'thinking', thinking: 'Let me think.', signature: '' },
    { type: 'text', text: 'Hello' },
  ]);
  assert.deepEqual(
    [message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens],
    [10, 20, 7],
  );
  const sent = (await openai.nextRequest()).json();
  assert.equal(sent['stream'], true);
  assert.equal(sent['reasoning_effort'], 'high');
  assert.deepEqual(sent['stream_options'], { include_usage: true });
});

test('a loop of three turns with parallel calls and reasoning is the same conversation, streamed and not', async (t) => {
  const { client, openai } = await relayed(t);
  const turns = [
    {
      reasoning: 'Two cities.',
      content: 'Let me see.',
      calls: [
        { id: 'call_1', name: 'weather', arguments: '{"city":"Rome"}' },
        { id: 'call_2', name: 'weather', arguments: '{"city":"Paris"}' },
      ],
    },
    {
      reasoning: 'One more.',
      content: null,
      calls: [{ id: 'call_3', name: 'weather', arguments: '{"city":"Oslo"}' }],
    },
    { reasoning: 'Done.', content: 'Rome is best.', calls: [] },
  ];
  const sent: unknown[] = [];
  for (const streaming of [false, true]) {
    const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Where?' }];
    for (const { reasoning, content, calls } of turns) {
      openai.enqueue(
        streaming
          ? chatStream({
              reasoning: reasoning.split(/(?<= )/),
              content: content === null ? [] : content.split(/(?<= )/),
              toolCalls: calls.map((call) => ({ ...call, arguments: call.arguments.match(/..?/g) ?? [] })),
            })
          : async (exchange) => {
              const made = calls.map(({ id, name, arguments: args }) => ({
                id,
                type: 'function',
                function: { name, arguments: args },
              }));
              const message = {
                role: 'assistant',
                content,
                reasoning_content: reasoning,
                ...(made.length > 0 ? { tool_calls: made } : {}),
              };
              const choice = { index: 0, message, finish_reason: made.length > 0 ? 'tool_calls' : 'stop' };
              const body = JSON.stringify({
                id: 'x',
                object: 'chat.completion',
                created: 1,
                model: 'some-model',
                choices: [choice],
              });
              await exchange.write(
                `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
              );
            },
      );
      const ask = { ...HELLO, messages, model: 'm', tools: [WEATHER] };
      const message = streaming
        ? await client.messages.stream(ask).finalMessage()
        : await client.messages.create(ask);
      const [thought] = message.content;
      assert.deepEqual(thought, { type: 'thinking', thinking: reasoning, signature: '' });
      messages.push({ role: 'assistant', content: message.content });
      const results = message.content.flatMap((block): Anthropic.ToolResultBlockParam[] =>
        block.type === 'tool_use'
          ? [{ type: 'tool_result', tool_use_id: block.id, content: `sun in ${JSON.stringify(block.input)}` }]
          : [],
      );
      assert.equal(message.stop_reason, results.length > 0 ? 'tool_use' : 'end_turn');
      if (results.length > 0) messages.push({ role: 'user', content: results });
    }
    const requests = openai.requests.slice(-3).map((request) => request.json()['messages']);
    sent.push(requests);
  }
  assert.deepEqual(sent[0], sent[1]);
  assert.deepEqual((sent[0] as unknown[])[2], [
    { role: 'user', content: 'Where?' },
    {
      role: 'assistant',
      content: 'Let me see.',
      reasoning_content: 'Two cities.',
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
        { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: 'sun in {"city":"Rome"}' },
    { role: 'tool', tool_call_id: 'call_2', content: 'sun in {"city":"Paris"}' },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'One more.',
      tool_calls: [
        { id: 'call_3', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_3', content: 'sun in {"city":"Oslo"}' },
  ]);
});

test('a picture that a tool shows reaches a host that takes only texts from tools', async (t) => {
  const { client, openai } = await relayed(t);
  const source = { type: 'base64', media_type: 'image/png', data: 'iVBORw0=' } as const;
  await client.messages.create({
    max_tokens: 100,
    model: 'm',
    tools: [WEATHER],
    messages: [
      { role: 'user', content: 'A map?' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }] },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'image', source }] }],
      },
    ],
  });
  const sent = (await openai.nextRequest()).json()['messages'] as { role: string; content: unknown }[];
  assert.deepEqual(
    sent.map(({ role }) => role),
    ['user', 'assistant', 'tool', 'user'],
  );
  assert.equal(typeof sent[2]?.content, 'string');
  assert.deepEqual(sent[3]?.content, [
    { type: 'text', text: 'Shown by the tool call toolu_1:' },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0=' } },
  ]);
});

test('what was left out on the way is named to the client', async (t) => {
  const { client } = await relayed(t);
  const asked = {
    ...HELLO,
    model: 'm',
    speed: 'fast',
    tools: [{ ...WEATHER, defer_loading: true }],
  } satisfies Anthropic.MessageCreateParams;
  const whole = await client.messages.create(asked).asResponse();
  assert.equal(whole.headers.get('x-spillway-dropped'), 'defer_loading, speed');
  const streamed = await client.messages.create({ ...asked, stream: true }).asResponse();
  assert.equal(streamed.headers.get('x-spillway-dropped'), 'defer_loading, speed');
  await streamed.text();
  const { response } = await client.messages.create({ ...HELLO, model: 'm' }).withResponse();
  assert.equal(response.headers.get('x-spillway-dropped'), null);
});

test('a strict target takes no request of which something would be left out', async (t) => {
  const models = { s: { provider: 'o', model: 'some-model', strict_params: true } };
  const { client, openai } = await relayed(t, { models });
  await assert.rejects(client.messages.create({ ...HELLO, model: 's', speed: 'fast' }), (error: unknown) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.match(error.apiMessage ?? '', /'speed'/);
    return true;
  });
  assert.equal(openai.requests.length, 0);
  await client.messages.create({ ...HELLO, model: 's' });
});

test('a count of tokens is estimated where nobody else counts', async (t) => {
  const { client, openai } = await relayed(t);
  const { input_tokens: short } = await client.messages.countTokens({ model: 'm', messages: HELLO.messages });
  const { input_tokens: long } = await client.messages.countTokens({
    model: 'm',
    messages: [{ role: 'user', content: 'Hello '.repeat(1000) }],
  });
  assert.ok(short > 0 && short < 100, String(short));
  assert.ok(long > 500 && long < 5000, String(long));
  assert.equal(openai.requests.length, 0);
});

test('errors come in the shape of Anthropic, whoever makes them', async (t) => {
  const { client, openai, gateway } = await relayed(t);
  const failure = async (ask: object): Promise<APIError> => {
    const error: unknown = await client.messages.create({ ...HELLO, model: 'm', ...ask }).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Anthropic.APIError);
    const body = error.error as { type: string; request_id: string };
    assert.equal(body.type, 'error');
    assert.equal(body.request_id, error.headers?.get('x-request-id'));
    return error;
  };
  const unknown = await failure({ model: 'nothing' });
  assert.ok(unknown instanceof Anthropic.NotFoundError);
  assert.equal(unknown.type, 'not_found_error');
  const wrong = await failure({ max_tokens: 'many' });
  assert.ok(wrong instanceof Anthropic.BadRequestError);
  assert.match(wrong.apiMessage ?? '', /'max_tokens'/);
  const search = await failure({ tools: [{ type: 'web_search_20250305', name: 'web_search' }] });
  assert.ok(search instanceof Anthropic.BadRequestError);
  assert.match(search.apiMessage ?? '', /tools\[0\]/);
  openai.enqueue(apiError(400, { message: 'No such thing.', type: 'invalid_request_error' }));
  const refused = await failure({});
  assert.ok(refused instanceof Anthropic.BadRequestError);
  assert.match(refused.apiMessage ?? '', /No such thing\./);
  openai.enqueue(apiError(429, { message: 'Slower.' }, { 'retry-after': '3600' }));
  const limited = await failure({});
  assert.ok(limited instanceof Anthropic.RateLimitError);
  assert.equal(limited.type, 'rate_limit_error');
  const response = await fetch(`${gateway.origin}/v1/messages`, {
    method: 'POST',
    body: '{',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(response.status, 400);
  const body = (await response.json()) as { type: string; error: { type: string } };
  assert.deepEqual([body.type, body.error.type], ['error', 'invalid_request_error']);
});

test('a key is taken from either header, and one that is unknown is an error of authentication', async (t) => {
  const tenants = [{ id: 'acme', keys: [{ id: 'ci', key: 'sw-the-key' }] }];
  const { gateway } = await relayed(t, { auth: 'keys', tenants });
  const ask = { ...HELLO, model: 'm' };
  await assert.rejects(sdk(gateway).messages.create(ask), Anthropic.AuthenticationError);
  const other = sdk(gateway, { apiKey: null, authToken: 'sw-the-key' });
  assert.equal((await other.messages.create(ask)).stop_reason, 'end_turn');
  const response = await fetch(`${gateway.origin}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'sw-the-key' },
    body: JSON.stringify(ask),
  });
  assert.equal(response.status, 200);
});

test('a stream that breaks is an error to the SDK, and never a message', async (t) => {
  const { client, openai } = await relayed(t);
  openai.enqueue(chatStream({ content: ['Hel', 'lo', reset()] }));
  const stream = client.messages.stream({ ...HELLO, model: 'm' });
  await assert.rejects(stream.finalMessage(), (error: unknown) => {
    assert.ok(error instanceof Anthropic.APIError);
    assert.equal(error.type, 'api_error');
    assert.match(error.apiMessage ?? '', /interrupted/);
    return true;
  });
});

test('the beta methods of the SDK, which add a query, are served too', async (t) => {
  const { client, openai } = await relayed(t);
  openai.enqueue(chatAnswer({ content: 'Yes' }));
  const message = await client.beta.messages.create({
    ...HELLO,
    model: 'm',
    betas: ['some-beta-2026-01-01'],
  });
  assert.equal(message.content[0]?.type, 'text');
});
