import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { JsonObject } from '../../../src/core/json.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { askFor, completionOf, sse, streamed } from '../kit.ts';
import { eventStream, RECORDED, USER } from './kit.ts';

const prepared = anthropic.prepare(askFor({ model: 'any', messages: [USER] }, { streaming: true }));

function answering(bytes: Buffer): () => Promise<Response> {
  const headers = { 'content-type': 'text/event-stream' };
  return async () => new Response(new Uint8Array(bytes), { headers });
}

describe('The SDKs', () => {
  for (const [name, { events, whole }] of Object.entries(RECORDED)) {
    it(`read what was recorded as the answer that it is taken for here: ${name}`, async () => {
      const client = new Anthropic({
        apiKey: 'k',
        baseURL: 'http://a.test',
        fetch: answering(eventStream(events)),
      });
      const stream = client.messages.stream({
        model: 'claude-opus-5-5',
        max_tokens: 10,
        messages: [{ role: 'user', content: 'Hello' }],
      });
      const { content, stop_reason: reason } = await stream.finalMessage();
      // What the SDK adds for itself is not on the wire.
      assert.deepEqual(
        JSON.parse(JSON.stringify(content, (key, value) => (key === 'parsed' ? undefined : value))),
        whole.content,
      );
      assert.equal(reason, whole.stop_reason);
    });

    it(`read our chunks as the same completion that a whole answer becomes: ${name}`, async () => {
      const { chunks } = streamed(prepared, [eventStream(events)]);
      const bytes = Buffer.concat([sse(chunks.map((data) => ({ data }))), sse([{ data: '[DONE]' }])]);
      const client = new OpenAI({ apiKey: 'k', baseURL: 'http://a.test', fetch: answering(bytes) });
      const stream = client.chat.completions.stream({
        model: 'm',
        messages: [{ role: 'user', content: 'Hello' }],
        stream_options: { include_usage: true },
      });
      const read = await stream.finalChatCompletion();
      const expected = completionOf(prepared, whole as unknown as JsonObject);
      const [choice] = expected['choices'] as JsonObject[];
      const message = choice?.['message'] as JsonObject;
      assert.equal(read.choices[0]?.finish_reason, choice?.['finish_reason']);
      assert.equal(read.choices[0]?.message.content || null, message['content']);
      assert.equal(read.choices[0]?.message.refusal ?? null, message['refusal']);
      const calls = read.choices[0]?.message.tool_calls?.map(
        (call) => call.type === 'function' && [call.id, call.function.name, call.function.arguments],
      );
      const wanted = (message['tool_calls'] as JsonObject[] | undefined)?.map((call) => {
        const made = call['function'] as JsonObject;
        return [call['id'], made['name'], made['arguments']];
      });
      assert.deepEqual(calls, wanted);
      assert.deepEqual(read.usage, expected['usage']);
    });
  }
});
