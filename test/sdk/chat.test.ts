import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AIMOCK_ANSWERS } from '../support/aimock.ts';
import { chatStream, Gate, pauseUntil, silence } from '../support/upstream.ts';
import { says, throughAimock, throughStandIn } from './through.ts';

const TOOLS = [
  {
    type: 'function' as const,
    function: {
      name: 'get_weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
];

describe('a chat by the official SDK', () => {
  it('is answered', async (t) => {
    const { client } = await throughAimock(t);
    const answer = await client.chat.completions.create({ model: 'm', messages: says('hello') });
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.model, 'gpt-6-sol');
    assert.equal(answer.choices[0]?.message.content, AIMOCK_ANSWERS.hello);
    assert.equal(answer.choices[0]?.finish_reason, 'stop');
    assert.ok((answer.usage?.total_tokens ?? 0) > 0);
  });

  it('shows the id, the target and the tries', async (t) => {
    const { client, gateway } = await throughAimock(t);
    const { data, response, request_id } = await client.chat.completions
      .create({ model: 'm', messages: says('hello') }, { headers: { 'x-request-id': 'mine-1' } })
      .withResponse();
    assert.equal((data as { _request_id?: string })._request_id, 'mine-1');
    assert.equal(request_id, 'mine-1');
    assert.equal(response.headers.get('x-spillway-target'), 'a/gpt-6-sol');
    assert.equal(response.headers.get('x-spillway-attempts'), '1');
    assert.equal((await gateway.ended(1))[0]?.id, 'mine-1');
  });

  it('keeps response_format', async (t) => {
    const { client, aimock } = await throughAimock(t);
    aimock.mock.prependFixture({
      match: { userMessage: 'json please' },
      response: { content: '{"city":"Paris"}' },
    });
    const response_format = {
      type: 'json_schema' as const,
      json_schema: {
        name: 'place',
        strict: true,
        schema: { type: 'object', properties: { city: { type: 'string' } } },
      },
    };
    const answer = await client.chat.completions.parse({
      model: 'm',
      messages: says('json please'),
      response_format,
    });
    assert.deepEqual(JSON.parse(answer.choices[0]?.message.content ?? ''), { city: 'Paris' });
    const sent = aimock.mock.getRequests().at(-1)?.body as unknown as Record<string, unknown>;
    assert.deepEqual(sent['response_format'], response_format);
  });
});

describe('a stream by the official SDK', () => {
  for (const include_usage of [true, false, undefined]) {
    it(`comes whole, with usage ${include_usage === true ? '' : 'not '}shown (${include_usage})`, async (t) => {
      const { client } = await throughAimock(t);
      const events = await client.chat.completions.create({
        model: 'm',
        messages: says('story'),
        stream: true,
        ...(include_usage === undefined ? {} : { stream_options: { include_usage } }),
      });
      let content = '';
      let finish: string | null = null;
      const usages = [];
      for await (const event of events) {
        content += event.choices[0]?.delta.content ?? '';
        finish = event.choices[0]?.finish_reason ?? finish;
        if (event.usage) usages.push(event.usage);
      }
      assert.equal(content, AIMOCK_ANSWERS.story);
      assert.equal(finish, 'stop');
      assert.equal(usages.length, include_usage === true ? 1 : 0);
    });
  }

  it('of a tool call is put together by its helper, and the result is answered', async (t) => {
    const { client } = await throughAimock(t);
    const ask = { model: 'm', tools: TOOLS };
    const first = client.chat.completions.stream({ ...ask, messages: says('weather') });
    const { message, finish_reason } = (await first.finalChatCompletion()).choices[0] ?? {};
    assert.equal(finish_reason, 'tool_calls');
    assert.ok(message);
    const [call] = message.tool_calls ?? [];
    assert.ok(call?.type === 'function');
    assert.equal(call.id, 'call_weather');
    assert.equal(call.function.name, 'get_weather');
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Paris' });

    const result = { role: 'tool' as const, tool_call_id: call.id, content: '21' };
    const messages = [...says('weather'), message, result];
    const second = client.chat.completions.stream({ ...ask, messages });
    assert.equal(await second.finalContent(), 'It is 21 degrees in Paris.');
  });

  it('of a tool call is put together from fragments', async (t) => {
    const { client, upstream } = await throughStandIn(t);
    const toolCalls = [
      { id: 'call_1', name: 'get_weather', arguments: ['{"ci', 'ty":"Pa', 'ris"}'] },
      { id: 'call_2', name: 'get_weather', arguments: ['{"city"', ':"Rome"}'] },
    ];
    upstream.enqueue(chatStream({ toolCalls }));
    const stream = client.chat.completions.stream({ model: 'm', tools: TOOLS, messages: says('weather') });
    const calls = (await stream.finalChatCompletion()).choices[0]?.message.tool_calls ?? [];
    assert.deepEqual(
      calls.map((call) => call.type === 'function' && [call.id, JSON.parse(call.function.arguments)]),
      [
        ['call_1', { city: 'Paris' }],
        ['call_2', { city: 'Rome' }],
      ],
    );
  });
});

describe('an abort by the official SDK', () => {
  it('before the answer ends the upstream request at once', async (t) => {
    const { client, upstream, gateway } = await throughStandIn(t);
    upstream.enqueue(silence());
    const leaves = new AbortController();
    const asked = client.chat.completions.create(
      { model: 'm', messages: says('hello') },
      { signal: leaves.signal },
    );
    const request = await upstream.nextRequest();
    leaves.abort();
    await assert.rejects(asked, { name: 'Error', message: 'Request was aborted.' });
    await request.closed;
    assert.ok(request.aborted);
    assert.equal((await gateway.ended(1))[0]?.outcome, 'client_gone');
  });

  it('in the middle of a stream does too', async (t) => {
    const { client, upstream, gateway } = await throughStandIn(t);
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(new Gate()), 'never'] }));
    const stream = await client.chat.completions.create({
      model: 'm',
      messages: says('hello'),
      stream: true,
    });
    for await (const event of stream) {
      if (event.choices[0]?.delta.content === 'Hello') stream.controller.abort();
    }
    const request = await upstream.nextRequest();
    await request.closed;
    assert.ok(request.aborted);
    assert.equal((await gateway.ended(1))[0]?.outcome, 'client_gone');
  });
});

describe('models by the official SDK', () => {
  const TREES = {
    models: {
      m: { provider: 'a', model: 'gpt-6-sol' },
      'team/large': { provider: 'a', model: 'gpt-6-sol' },
    },
    aliases: { cheap: 'm' },
  };

  it('are listed', async (t) => {
    const { client } = await throughAimock(t, TREES);
    const ids = [];
    for await (const { id, object } of client.models.list()) {
      assert.equal(object, 'model');
      ids.push(id);
    }
    assert.deepEqual(ids.sort(), ['cheap', 'm', 'team/large']);
  });

  it('are found by name, one with a slash too', async (t) => {
    const { client } = await throughAimock(t, TREES);
    for (const name of ['m', 'cheap', 'team/large']) {
      const { id, object, created, owned_by } = await client.models.retrieve(name);
      assert.deepEqual([id, object, typeof created, typeof owned_by], [name, 'model', 'number', 'string']);
    }
  });
});
