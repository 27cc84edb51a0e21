import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type OpenAI from 'openai';
import { apiError, plain, stream } from '../support/upstream.ts';
import { claudeMessage, nativeResponse, relayed, said, WEATHER } from './kit.ts';

describe('a host that speaks the responses API', () => {
  it('is asked in its own words, and answers in them', async (t) => {
    const { client, native, gateway } = await relayed(t);
    native.enqueue(plain({ json: nativeResponse([said('Hi')]) }));
    const asked = {
      input: 'Hi',
      previous_response_id: 'resp_1',
      tools: [{ type: 'web_search' as const }],
      store: true,
    };
    const answer = await client.responses.create({ model: 'native', ...asked });
    assert.equal(answer.id, 'resp_native');
    assert.equal(answer.output_text, 'Hi');
    const request = await native.nextRequest();
    assert.equal(request.path, '/v1/responses');
    assert.deepEqual(request.json(), { model: 'gpt-6.2-sol', ...asked });
    const [line] = await gateway.ended(1);
    assert.deepEqual(line?.tokens, { input: 20, output: 9, cached: 8, reasoning: 5 });
  });

  it('streams its own events, and nothing of ours', async (t) => {
    const { client, native } = await relayed(t);
    const response = nativeResponse([said('Hi')]);
    const at = { item_id: 'msg_native', output_index: 0, content_index: 0 };
    const part = { type: 'output_text', text: '', annotations: [] };
    const events = [
      { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
      {
        type: 'response.output_item.added',
        output_index: 0,
        item: { ...said(''), content: [], status: 'in_progress' },
      },
      { type: 'response.content_part.added', ...at, part },
      { type: 'response.output_text.delta', ...at, delta: 'Hi', logprobs: [] },
      { type: 'response.output_text.done', ...at, text: 'Hi', logprobs: [] },
      { type: 'response.content_part.done', ...at, part: { ...part, text: 'Hi' } },
      { type: 'response.output_item.done', output_index: 0, item: said('Hi') },
      { type: 'response.completed', response },
    ].map((event, index) => ({ ...event, sequence_number: index }));
    const lines = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}`);
    native.enqueue(stream(lines, { done: false }));
    const answer = await fetch(`${client.baseURL}/responses`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'native', input: 'Hi', stream: true }),
    });
    assert.equal(await answer.text(), lines.map((line) => `${line}\n\n`).join(''));
  });

  for (const [from, first] of [
    ['from_claude', 'claude'],
    ['from_native', 'native'],
  ] as const) {
    it(`goes on with what ${first} began, and the other way round`, async (t) => {
      const { client, native, claude } = await relayed(t);
      const call = { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Paris' } };
      const beginning = {
        claude: plain({
          json: claudeMessage([{ type: 'thinking', thinking: 'Hm.', signature: 'sig' }, call], 'tool_use'),
        }),
        native: plain({
          json: nativeResponse([
            { id: 'rs_native', type: 'reasoning', summary: [], encrypted_content: 'gAAAAABo' },
            {
              id: 'fc_native',
              type: 'function_call',
              status: 'completed',
              call_id: 'call_1',
              name: 'weather',
              arguments: '{"city":"Paris"}',
            },
          ]),
        }),
      };
      const upstreams = { claude, native };
      upstreams[first].enqueue(beginning[first], apiError(503));
      claude.reply(() => plain({ json: claudeMessage([{ type: 'text', text: 'Sunny.' }], 'end_turn') }));
      native.reply(() => plain({ json: nativeResponse([said('Sunny.')]) }));
      const user = { role: 'user' as const, content: 'Is it sunny?' };
      const ask = (input: OpenAI.Responses.ResponseInput) =>
        client.responses.create({ model: from, input, tools: [WEATHER], store: false });
      const begun = await ask([user]);
      const made = begun.output.find((item) => item.type === 'function_call');
      assert.equal(made?.call_id, 'call_1');
      const result = { type: 'function_call_output' as const, call_id: 'call_1', output: 'sunny' };
      const ended = await ask([user, ...(begun.output as OpenAI.Responses.ResponseInputItem[]), result]);
      assert.equal(ended.output_text, 'Sunny.');
      if (first === 'claude') {
        const sent = native.requests[0]?.json()['input'] as { type?: string; call_id?: string }[];
        assert.deepEqual(
          sent.map(({ type }) => type),
          [undefined, 'function_call', 'function_call_output'],
          'a seal that OpenAI did not make is not shown to it',
        );
      } else {
        const sent = claude.requests[0]?.json()['messages'] as { content: unknown }[];
        assert.deepEqual(sent[1]?.content, [call]);
      }
    });
  }
});
