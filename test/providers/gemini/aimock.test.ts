/** Google's dialect as somebody else's mock server speaks it: a loop of three turns, whole and streamed. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Adapter } from '../../../src/providers/adapter.ts';
import { gemini } from '../../../src/providers/gemini/adapter.ts';
import { vertex } from '../../../src/providers/vertex/adapter.ts';
import { AIMOCK_ANSWERS, type Aimock, startAimock } from '../../support/aimock.ts';
import { accumulate, askFor, completionOf, streamed } from '../kit.ts';

const TOOLS = [
  {
    type: 'function',
    function: { name: 'get_weather', parameters: { type: 'object', properties: { city: {} } } },
  },
];
const ADAPTERS: Record<string, Adapter> = { gemini, vertex };

describe("a mock server that speaks Google's dialect", () => {
  let aimock: Aimock;
  before(async () => {
    aimock = await startAimock();
    // In front of the one that answers anything.
    aimock.mock.prependFixture({
      match: { userMessage: 'reason' },
      response: { content: 'Because.', reasoning: 'Why indeed?' },
    });
  });
  after(() => aimock.stop());

  /** Asks over the wire, and gives the completion that comes of it. */
  async function chat(adapter: Adapter, messages: JsonObject[], streaming: boolean): Promise<JsonObject> {
    const baseUrl = aimock.url.replace(/\/v1$/, '');
    const provider = { baseUrl, project: 'p', location: 'global' };
    const ask = askFor({ messages, tools: TOOLS }, { streaming, provider, model: 'gemini-x' });
    const prepared = adapter.prepare(ask);
    const response = await fetch(baseUrl + prepared.path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...adapter.keyHeaders('k') },
      body: Buffer.concat(prepared.body),
    });
    assert.equal(response.status, 200);
    const bytes = Buffer.from(await response.arrayBuffer());
    if (!streaming) return completionOf(prepared, JSON.parse(bytes.toString()) as JsonObject);
    const told = streamed(prepared, [bytes]);
    assert.ok(told.isWhole, JSON.stringify(told));
    return accumulate(told.chunks);
  }

  for (const [name, adapter] of Object.entries(ADAPTERS)) {
    for (const streaming of [false, true]) {
      const how = `${name}, ${streaming ? 'streamed' : 'whole'}`;
      const choice = async (messages: JsonObject[]) => {
        const [first] = (await chat(adapter, messages, streaming))['choices'] as {
          message: JsonObject;
          finish_reason: string;
        }[];
        assert.ok(first !== undefined);
        return first;
      };

      it(`answers: ${how}`, async () => {
        const { message, finish_reason } = await choice([{ role: 'user', content: 'Tell me a story' }]);
        assert.deepEqual([message['content'], finish_reason], [AIMOCK_ANSWERS.story, 'stop']);
      });

      it(`thinks: ${how}`, async () => {
        const { message } = await choice([{ role: 'user', content: 'Give me a reason' }]);
        assert.deepEqual([message['content'], message['reasoning_content']], ['Because.', 'Why indeed?']);
      });

      it(`calls a tool, and takes its result: ${how}`, async () => {
        const question = { role: 'user', content: 'What is the weather in Paris?' };
        const { message, finish_reason } = await choice([question]);
        assert.equal(finish_reason, 'tool_calls');
        const [call] = message['tool_calls'] as { id: string; function: JsonObject }[];
        assert.deepEqual(call?.function, { name: 'get_weather', arguments: '{"city":"Paris"}' });
        const result = { role: 'tool', tool_call_id: call?.id ?? '', content: '21' };
        const answer = await choice([question, message, result]);
        assert.deepEqual(
          [answer.message['content'], answer.finish_reason],
          ['It is 21 degrees in Paris.', 'stop'],
        );
      });
    }
  }
});
