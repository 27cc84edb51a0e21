import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { HELLO, message, relayed as messagesRelayed } from '../messages/kit.ts';
import { relayed as responsesRelayed } from '../responses/kit.ts';
import { apiError, chatAnswer, plain, type Script, type Upstream } from '../support/upstream.ts';

/** A host without room for streams; whatever is not one it answers. */
function refusing(upstream: Upstream, whole: Script): void {
  upstream.reply(({ json }) => (json<JsonObject>()['stream'] === true ? apiError(529) : whole));
}

const THOUGHTFUL = plain({
  json: {
    id: 'x',
    object: 'chat.completion',
    created: 1,
    model: 'some-model',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: 'Hello',
          reasoning_content: 'Let me think.',
          tool_calls: [
            { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
          ],
        },
        finish_reason: 'tool_calls',
      },
    ],
    usage: { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 },
  },
});

describe('a whole answer goes as a stream', () => {
  it('of messages, from a host that has chats', async (t) => {
    const { client, openai } = await messagesRelayed(t);
    refusing(openai, THOUGHTFUL);
    const stream = client.messages.stream({ ...HELLO, model: 'm', thinking: { type: 'adaptive' } });
    const { response } = await stream.withResponse();
    assert.equal(response.headers.get('x-spillway-stream'), 'whole');
    const { content, stop_reason: reason, usage } = await stream.finalMessage();
    assert.deepEqual(
      content.map(({ type }) => type),
      ['thinking', 'text', 'tool_use'],
    );
    assert.equal(reason, 'tool_use');
    assert.deepEqual([usage.input_tokens, usage.output_tokens], [9, 12]);
  });

  it('of messages, from a host that speaks them itself, signed thoughts and all', async (t) => {
    const { client, claude, gateway } = await messagesRelayed(t);
    const thought = { type: 'thinking', thinking: 'Let me think.', signature: 'c2ln' } as const;
    const text = { type: 'text', text: 'Hello' } as const;
    refusing(claude, plain({ json: message([thought, { ...text, citations: null }]) }));
    const stream = client.messages.stream({ ...HELLO, model: 'claude', thinking: { type: 'adaptive' } });
    const { content } = await stream.finalMessage();
    assert.deepEqual(content, [thought, text]);
    assert.deepEqual(
      claude.requests.map(({ json }) => json<JsonObject>()['stream'] === true),
      [true, false],
    );
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'ok');
  });

  it('of responses', async (t) => {
    const { client, chat } = await responsesRelayed(t);
    refusing(chat, THOUGHTFUL);
    const stream = client.responses.stream({ model: 'chat', input: 'Hi' });
    const final = await stream.finalResponse();
    assert.equal(final.status, 'completed');
    assert.deepEqual(
      final.output.map(({ type }) => type),
      ['reasoning', 'message', 'function_call'],
    );
    assert.equal(final.usage?.total_tokens, 21);
  });

  it('not where that would lose something which the host would have understood', async (t) => {
    const { client, native } = await responsesRelayed(t);
    refusing(native, chatAnswer());
    const ask = { model: 'native', input: 'Hi', previous_response_id: 'resp_1', stream: true } as const;
    await assert.rejects(client.responses.create(ask), { status: 503 });
    assert.equal(native.requests.length, 1);
  });

  it('nor where the client asks for what only that host has', async (t) => {
    const { client, claude } = await messagesRelayed(t);
    refusing(claude, plain({ json: message([{ type: 'text', text: 'Hello', citations: null }]) }));
    const headers = { 'anthropic-beta': 'of-tomorrow' };
    await assert.rejects(client.messages.stream({ ...HELLO, model: 'claude' }, { headers }).finalMessage());
    assert.equal(claude.requests.length, 1);
  });

  it('not from a host that answers in other words than those of chats', async (t) => {
    const { client, claude } = await messagesRelayed(t);
    claude.reply(() => plain({ json: message([{ type: 'text', text: 'Hello', citations: null }]) }));
    await assert.rejects(client.messages.stream({ ...HELLO, model: 'claude' }).finalMessage(), /502/);
  });
});
