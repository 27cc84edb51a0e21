import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import type { WireHeaders } from '../../../src/providers/retry-after.ts';
import { AIMOCK_ANSWERS, type Aimock, startAimock } from '../../support/aimock.ts';
import { accumulate, askFor, checkCompletion, fixedFacts, translate } from '../kit.ts';
import { CLAUDE, NOVA } from './rig.ts';

/** A provider that somebody else wrote, in Bedrock's own words. */
describe('Bedrock as aimock plays it', () => {
  let upstream: Aimock;
  let base = '';
  before(async () => {
    await bedrock.load?.();
    upstream = await startAimock();
    base = upstream.url.replace(/\/v1$/, '');
  });
  after(() => upstream.stop());

  async function answer(request: JsonObject, streaming: boolean, model = CLAUDE): Promise<JsonObject> {
    const prepared = bedrock.prepare(askFor({ model: 'm', ...request }, { model, streaming }));
    const headers = Array.from({ length: prepared.headers.length / 2 }, (_, at): [string, string] => [
      prepared.headers[at * 2] ?? '',
      prepared.headers[at * 2 + 1] ?? '',
    ]);
    const response = await fetch(`${base}${prepared.path}`, {
      method: 'POST',
      headers,
      body: Buffer.concat(prepared.body),
    });
    assert.equal(response.status, 200);
    const bytes = Buffer.from(await response.arrayBuffer());
    const wire: WireHeaders = Object.fromEntries(response.headers);
    const reader = prepared.answer(fixedFacts(model));
    if (streaming) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / 11) }, (_, at) =>
        bytes.subarray(at * 11, at * 11 + 11),
      );
      const told = translate(reader.stream(wire), pieces);
      assert.ok(told.isWhole);
      return accumulate(told.chunks);
    }
    const reading = reader.plain(JSON.parse(bytes.toString()), bytes, wire);
    assert.equal(reading.kind, 'answer');
    if (reading.kind !== 'answer') return {};
    checkCompletion(reading.value);
    return reading.value;
  }

  const messageOf = (completion: JsonObject) =>
    (completion['choices'] as { message: JsonObject; finish_reason: Json }[])[0];

  it('answers whole and streamed alike', async () => {
    for (const content of ['hello', 'tell me a story']) {
      const request: JsonObject = { messages: [{ role: 'user', content }] };
      const [whole, streamed] = [await answer(request, false), await answer(request, true, CLAUDE)];
      assert.deepEqual(streamed, whole);
      assert.equal(messageOf(whole)?.finish_reason, 'stop');
    }
    const hello = await answer({ messages: [{ role: 'user', content: 'hello' }] }, true, NOVA);
    assert.equal(messageOf(hello)?.message['content'], AIMOCK_ANSWERS.hello);
  });

  it('goes round a loop of tools, whole and streamed', async () => {
    for (const streaming of [false, true]) {
      const tools: JsonObject[] = [{ type: 'function', function: { name: 'get_weather' } }];
      const messages: JsonObject[] = [{ role: 'user', content: 'What is the weather?' }];
      const called = messageOf(await answer({ messages, tools }, streaming));
      assert.ok(called);
      assert.equal(called.finish_reason, 'tool_calls');
      const [call] = called.message['tool_calls'] as { id: string; function: JsonObject }[];
      assert.deepEqual(call?.function, { name: 'get_weather', arguments: '{"city":"Paris"}' });
      messages.push(called.message, { role: 'tool', tool_call_id: call?.id ?? '', content: '21' });
      const last = messageOf(await answer({ messages, tools }, streaming));
      assert.equal(last?.message['content'], 'It is 21 degrees in Paris.');
    }
  });
});
