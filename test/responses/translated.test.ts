import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import { checkGrammar } from '../dialects/responses/grammar.ts';
import type { StreamEvent } from '../dialects/responses/kit.ts';
import { apiError, chatStream, plain, reset, stream } from '../support/upstream.ts';
import { claudeEvents, claudeMessage, relayed, WEATHER } from './kit.ts';

describe('a host that only speaks chat answers the responses API', () => {
  it('whole', async (t) => {
    const { client, chat, gateway } = await relayed(t);
    const { data, response } = await client.responses
      .create({ model: 'chat', instructions: 'Be brief.', input: 'Hi', max_output_tokens: 50 })
      .withResponse();
    assert.equal(data.output_text, 'Hello from upstream.');
    assert.equal(data.status, 'completed');
    assert.match(data.id, /^resp_\w/);
    assert.equal(data.model, 'some-model');
    assert.deepEqual([data.usage?.input_tokens, data.usage?.output_tokens], [9, 12]);
    assert.equal(response.headers.get('x-spillway-target'), 'c/some-model');
    const request = await chat.nextRequest();
    assert.equal(request.path, '/v1/chat/completions');
    assert.deepEqual(request.json()['messages'], [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ]);
    const [line] = await gateway.ended(1);
    assert.equal(line?.status, 200);
    assert.deepEqual([line?.tokens?.input, line?.tokens?.output], [9, 12]);
  });

  it('in a stream', async (t) => {
    const { client, chat, gateway } = await relayed(t);
    chat.enqueue(
      chatStream({
        reasoning: ['Let me ', 'think.'],
        content: ['Hel', 'lo'],
        toolCalls: [{ id: 'call_1', name: 'weather', arguments: ['{"city"', ':"Paris"}'] }],
        usage: { prompt_tokens: 30, completion_tokens: 7 },
      }),
    );
    const events: StreamEvent[] = [];
    for await (const event of await client.responses.create({
      model: 'chat',
      input: 'Hi',
      tools: [WEATHER],
      stream: true,
    })) {
      events.push(event);
    }
    const response = checkGrammar(events);
    assert.deepEqual(
      response?.output.map(({ type }) => type),
      ['reasoning', 'message', 'function_call'],
    );
    assert.equal(response?.usage?.total_tokens, 37);
    const sent = (await chat.nextRequest()).json();
    assert.equal(sent['stream'], true);
    assert.deepEqual(sent['stream_options'], { include_usage: true });
    assert.equal((await gateway.ended(1))[0]?.tokens?.output, 7);
  });

  it('and its stream breaks as one', async (t) => {
    const { client, chat } = await relayed(t);
    chat.enqueue(chatStream({ content: ['Hel', reset()] }));
    const events: StreamEvent[] = [];
    const broken = client.responses
      .create({ model: 'chat', input: 'Hi', stream: true })
      .then(async (stream) => {
        for await (const event of stream) events.push(event);
      });
    await assert.rejects(broken, (error) => {
      assert.ok(error instanceof OpenAI.APIError);
      assert.equal(error.code, 'stream_interrupted');
      return true;
    });
    assert.ok(events.some(({ type }) => type === 'response.output_text.delta'));
    assert.ok(!events.some(({ type }) => type === 'response.completed'));
  });

  it('and says what was left out', async (t) => {
    const { client } = await relayed(t);
    const { response } = await client.responses
      .create({ model: 'chat', input: 'Hi', truncation: 'auto', store: true })
      .withResponse();
    assert.equal(response.headers.get('x-spillway-dropped'), 'store, truncation');
  });

  it('but not what it cannot be asked in chat', async (t) => {
    const { client, chat } = await relayed(t);
    const refused = [
      [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
      [{ tools: [{ type: 'web_search' }] }, 'tools[0]'],
      [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0]'],
    ] as const;
    for (const [params, param] of refused) {
      const asked = client.responses.create({ model: 'chat', input: 'Hi', ...params } as never);
      await assert.rejects(asked, (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, String(error));
        assert.equal(error.param, param);
        return true;
      });
    }
    assert.equal(chat.requests.length, 0);
  });

  it('with an error in OpenAI’s shape', async (t) => {
    const { client, chat } = await relayed(t);
    chat.enqueue(apiError(503));
    await assert.rejects(client.responses.create({ model: 'chat', input: 'Hi' }), OpenAI.InternalServerError);
    await assert.rejects(client.responses.create({ model: 'chat' } as never), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, 'input');
      return true;
    });
  });
});

describe('a tool loop through the responses API', () => {
  const thinking = { type: 'thinking', thinking: 'Both cities.', signature: 'sig-1' };
  const content = [
    thinking,
    { type: 'text', text: 'I look.' },
    { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Paris' } },
    { type: 'tool_use', id: 'toolu_2', name: 'weather', input: { city: 'Rome' } },
  ];

  for (const streaming of [false, true]) {
    it(`hands Claude back what it thought, ${streaming ? 'streamed' : 'whole'}`, async (t) => {
      const { client, claude, elsewhere } = await relayed(t);
      claude.reply(({ json }) => {
        const { messages } = json<{ messages: unknown[] }>();
        const [blocks, reason] =
          messages.length === 1
            ? [content, 'tool_use']
            : [[{ type: 'text', text: 'Sunny in both.' }], 'end_turn'];
        return streaming
          ? stream(claudeEvents(blocks as typeof content, reason as string), { done: false })
          : plain({ json: claudeMessage(blocks as object[], reason as string) });
      });
      const ask = (at: OpenAI, input: OpenAI.Responses.ResponseInput): Promise<OpenAI.Responses.Response> => {
        const params = { model: 'claude', input, tools: [WEATHER], reasoning: { effort: 'high' as const } };
        return streaming
          ? at.responses.stream(params).finalResponse()
          : at.responses.create({ ...params, store: false });
      };
      const input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: 'Where is it sunny?' }];
      const first = await ask(client, input);
      const calls = first.output.filter((item) => item.type === 'function_call');
      assert.deepEqual(
        calls.map(({ call_id, arguments: args }) => [call_id, args]),
        [
          ['toolu_1', '{"city":"Paris"}'],
          ['toolu_2', '{"city":"Rome"}'],
        ],
      );
      assert.deepEqual([first.usage?.input_tokens, first.usage?.input_tokens_details.cached_tokens], [20, 8]);
      // Whatever an application adds to the items, it hands them back by their wire form.
      const back = first.output.map(
        (item) => JSON.parse(JSON.stringify(item)) as OpenAI.Responses.ResponseInputItem,
      );
      const results = calls.map(({ call_id }) => ({
        type: 'function_call_output' as const,
        call_id,
        output: 'sunny',
      }));
      const second = await ask(await elsewhere(), [...input, ...back, ...results]);
      assert.equal(second.output_text, 'Sunny in both.');
      const sent = claude.requests[1]?.json()['messages'] as { role: string; content: { type: string }[] }[];
      assert.deepEqual(
        sent.map(({ role }) => role),
        ['user', 'assistant', 'user'],
      );
      assert.deepEqual(sent[1]?.content, content);
      assert.deepEqual(
        sent[2]?.content.map(({ type }) => type),
        ['tool_result', 'tool_result'],
      );
    });
  }

  for (const streaming of [false, true]) {
    it(`hands Gemini its signatures back, ${streaming ? 'streamed' : 'whole'}`, async (t) => {
      const { client, gemini, elsewhere } = await relayed(t);
      const parts = [
        { functionCall: { name: 'weather', args: { city: 'Paris' } }, thoughtSignature: 'c2ln' },
        { functionCall: { name: 'weather', args: { city: 'Rome' } } },
      ];
      gemini.reply(({ json }) => {
        const { contents } = json<{ contents: unknown[] }>();
        const answer = {
          candidates: [
            {
              index: 0,
              content: { role: 'model', parts: contents.length === 1 ? parts : [{ text: 'Sunny.' }] },
              finishReason: 'STOP',
            },
          ],
          usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 3, totalTokenCount: 8 },
        };
        return streaming ? stream([answer], { done: false }) : plain({ json: answer });
      });
      const ask = (at: OpenAI, input: OpenAI.Responses.ResponseInput): Promise<OpenAI.Responses.Response> => {
        const params = { model: 'gemini', input, tools: [WEATHER] };
        return streaming
          ? at.responses.stream(params).finalResponse()
          : at.responses.create({ ...params, store: false });
      };
      const user = { role: 'user' as const, content: 'Where is it sunny?' };
      const first = await ask(client, [user]);
      const calls = first.output.filter((item) => item.type === 'function_call');
      assert.equal(calls.length, 2);
      const results = calls.map(({ call_id }) => ({
        type: 'function_call_output' as const,
        call_id,
        output: 'sunny',
      }));
      const back = JSON.parse(JSON.stringify(first.output)) as OpenAI.Responses.ResponseInputItem[];
      const second = await ask(await elsewhere(), [user, ...back, ...results]);
      assert.equal(second.output_text, 'Sunny.');
      const sent = gemini.requests[1]?.json()['contents'] as { parts: { thoughtSignature?: string }[] }[];
      assert.deepEqual(
        sent[1]?.parts.map(({ thoughtSignature }) => thoughtSignature),
        ['c2ln', undefined],
      );
    });
  }
});
