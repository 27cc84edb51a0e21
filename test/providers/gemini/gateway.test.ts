/** What an application gets through a gateway from answers that only Gemini gives so. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import OpenAI, { type APIError } from 'openai';
import type { JsonObject } from '../../../src/core/json.ts';
import { startGateway } from '../../support/gateway.ts';
import { bytesOf, USAGE, type WirePart, type WireResponse, whole } from './kit.ts';

type Answer = WireResponse[];

/** A gateway in front of a Gemini that gives these answers, one for each call: each is the events of a stream, or one whole answer. */
async function start(t: TestContext, answers: Answer[]) {
  const sent: JsonObject[] = [];
  const upstream = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    sent.push(JSON.parse(Buffer.concat(pieces).toString()) as JsonObject);
    const answer = answers[sent.length - 1] ?? [];
    const isStream = request.url?.endsWith(':streamGenerateContent?alt=sse');
    assert.equal(request.headers['x-goog-api-key'], 'gemini-key');
    response.setHeader('content-type', isStream ? 'text/event-stream' : 'application/json');
    response.end(isStream ? bytesOf(answer) : JSON.stringify(answer[0]));
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => {
    upstream.closeAllConnections();
    upstream.close();
  });
  const { port } = upstream.address() as AddressInfo;
  const gateway = await startGateway({
    providers: { gemini: { adapter: 'gemini', base_url: `http://127.0.0.1:${port}`, api_key: 'gemini-key' } },
    models: {
      m: { provider: 'gemini', model: 'gemini-3.5-flash', retry: { attempts: 1, backoff: { base: '1ms' } } },
    },
  });
  t.after(() => gateway.close());
  const client = new OpenAI({ baseURL: gateway.url, apiKey: 'anything', maxRetries: 0 });
  const params = { model: 'm', messages: [{ role: 'user' as const, content: 'Hi' }] };
  return {
    sent,
    whole: () => client.chat.completions.create(params),
    streamed: () =>
      client.chat.completions
        .stream({ ...params, stream_options: { include_usage: true } })
        .finalChatCompletion(),
  };
}

function stopped(text: string, continuationToken: string): WireResponse {
  return whole([{ text }], { finishReason: 'CONTINUATION', continuationToken });
}

describe('an application in front of Gemini', () => {
  for (const how of ['whole', 'streamed'] as const) {
    it(`gets an answer of several calls as one, ${how}`, async (t) => {
      const rig = await start(t, [
        [stopped('One, ', 't1')],
        [stopped('two, ', 't2')],
        [whole([{ text: 'three.' }])],
      ]);
      const { choices, usage } = await rig[how]();
      assert.equal(choices[0]?.message.content, 'One, two, three.');
      assert.equal(choices[0]?.finish_reason, 'stop');
      assert.deepEqual([usage?.prompt_tokens, usage?.completion_tokens, usage?.total_tokens], [30, 15, 45]);
      const [first, ...others] = rig.sent;
      assert.deepEqual(others, [
        { ...first, continuationToken: 't1' },
        { ...first, continuationToken: 't2' },
      ]);
    });

    it(`gets calls without ids as calls with ids, and their signature, ${how}`, async (t) => {
      const parts: WirePart[] = [
        { functionCall: { name: 'f', args: { a: 1 } }, thoughtSignature: 'U2ln' },
        { functionCall: { name: 'g' } },
      ];
      const rig = await start(t, [[whole(parts)]]);
      const { choices } = await rig[how]();
      const calls = choices[0]?.message.tool_calls ?? [];
      assert.deepEqual(
        calls.map((call) => (call.type === 'function' ? call.function.arguments : null)),
        ['{"a":1}', '{}'],
      );
      assert.equal(new Set(calls.map(({ id }) => id)).size, 2);
      assert.deepEqual((calls[0] as unknown as JsonObject)['extra_content'], {
        google: { thought_signature: 'U2ln' },
      });
      assert.equal(choices[0]?.finish_reason, 'tool_calls');
    });

    it(`is told of a blocked prompt as of a filter, and nobody is asked again, ${how}`, async (t) => {
      const rig = await start(t, [
        [{ promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: { promptTokenCount: 8 } }],
      ]);
      const { choices, usage } = await rig[how]();
      assert.equal(choices[0]?.finish_reason, 'content_filter');
      assert.match(choices[0]?.message.refusal ?? '', /SAFETY/);
      assert.equal(usage?.prompt_tokens, 8);
      assert.equal(rig.sent.length, 1);
    });

    it(`never sees a call that Gemini could not write, but the next try, ${how}`, async (t) => {
      const failed = { candidates: [{ finishReason: 'MALFORMED_FUNCTION_CALL' }], usageMetadata: USAGE };
      const rig = await start(t, [[failed], [whole([{ text: 'Better.' }])]]);
      const { choices } = await rig[how]();
      assert.equal(choices[0]?.message.content, 'Better.');
      assert.equal(rig.sent.length, 2);
    });
  }

  it('is told that a stream broke which ended without a finish', async (t) => {
    const begun = { candidates: [{ content: { parts: [{ text: 'Once' }] } }] };
    const rig = await start(t, [[begun]]);
    await assert.rejects(rig.streamed(), (error: APIError) => error.code === 'stream_interrupted');
  });

  it('gets the next try where an error comes as the first event', async (t) => {
    const error = { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } };
    const rig = await start(t, [[error as WireResponse], [whole([{ text: 'Hello' }])]]);
    assert.equal((await rig.streamed()).choices[0]?.message.content, 'Hello');
  });
});
