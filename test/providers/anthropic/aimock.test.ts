import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { type Aimock, startAimock } from '../../support/aimock.ts';
import { accumulate, askFor, completionOf, streamed } from '../kit.ts';

/** A provider's stand-in that someone else wrote, spoken to over a socket. */
describe('Against a mock server of Anthropic’s dialect', () => {
  let aimock: Aimock;
  before(async () => {
    aimock = await startAimock();
    aimock.mock.prependFixture({
      match: { userMessage: 'think' },
      response: { content: 'Done.', reasoning: 'Let me think about it.' },
    });
  });
  after(() => aimock.stop());

  const tools = [
    {
      type: 'function',
      function: {
        name: 'get_weather',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    },
  ];

  /** The answer as a chat completion, told as a stream or whole. */
  async function ask(body: JsonObject, streaming: boolean): Promise<JsonObject> {
    const provider = { baseUrl: aimock.url };
    const prepared = anthropic.prepare(
      askFor({ ...body, stream: streaming }, { streaming, provider, model: 'claude-sonnet-4-5' }),
    );
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      ...anthropic.keyHeaders('k'),
    };
    for (let at = 0; at < prepared.headers.length; at += 2) {
      headers[prepared.headers[at] ?? ''] = prepared.headers[at + 1] ?? '';
    }
    const sent = Buffer.concat(prepared.body);
    const url = `${provider.baseUrl}${prepared.path}`;
    const answer = await fetch(url, { method: 'POST', headers, body: new Uint8Array(sent) });
    assert.equal(answer.status, 200, await answer.clone().text());
    if (!streaming) return completionOf(prepared, (await answer.json()) as JsonObject);
    const pieces: Buffer[] = [];
    for await (const piece of answer.body ?? []) pieces.push(Buffer.from(piece as Uint8Array));
    const told = streamed(prepared, pieces);
    assert.ok(told.isWhole, JSON.stringify(told));
    return accumulate(told.chunks);
  }

  function messageOf(completion: JsonObject): JsonObject {
    const [choice] = completion['choices'] as JsonObject[];
    assert.ok(choice !== undefined);
    return choice['message'] as JsonObject;
  }

  for (const streaming of [false, true]) {
    const how = streaming ? 'streamed' : 'whole';

    it(`answers in text, ${how}`, async () => {
      const completion = await ask({ model: 'm', messages: [{ role: 'user', content: 'hello' }] }, streaming);
      assert.equal(messageOf(completion)['content'], 'Hello! How can I help you today?');
    });

    it(`shows what it thought, ${how}`, async () => {
      const message = messageOf(
        await ask({ model: 'm', messages: [{ role: 'user', content: 'think' }] }, streaming),
      );
      assert.equal(message['reasoning_content'], 'Let me think about it.');
      assert.equal(message['content'], 'Done.');
      const [block] = message['thinking_blocks'] as JsonObject[];
      assert.ok(block?.['signature']);
    });

    it(`calls a tool and takes its result, ${how}`, async () => {
      const messages: Json[] = [{ role: 'user', content: 'weather' }];
      const called = await ask({ model: 'm', messages, tools }, streaming);
      const message = messageOf(called);
      const [call] = message['tool_calls'] as JsonObject[];
      assert.equal((call?.['function'] as JsonObject | undefined)?.['arguments'], '{"city":"Paris"}');
      messages.push(message, { role: 'tool', tool_call_id: call?.['id'] ?? null, content: '21 degrees' });
      const last = await ask({ model: 'm', messages, tools }, streaming);
      assert.equal(messageOf(last)['content'], 'It is 21 degrees in Paris.');
    });
  }
});
