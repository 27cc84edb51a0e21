/** What only Google does, through the whole gateway and for each kind of client. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { plain } from '../support/upstream.ts';
import { ask, bodyOf, CLIENTS, eventsOf, post, readStream } from './clients.ts';
import { COUNTS, type Saying } from './saying.ts';
import { answerTo, streamOf } from './speech.ts';
import { startStage } from './stage.ts';

const WAYS = [false, true] as const;
const how = (streaming: boolean) => (streaming ? 'streamed' : 'whole');
const HELLO: Saying = { text: ['Hello', ' there'], counts: COUNTS };

/** One of Gemini's answers, as a stream of one piece for each text or whole. */
function geminiAnswer(streaming: boolean, texts: readonly string[], last: object, usage: object) {
  const response = (pieces: readonly string[], more: object) => ({
    candidates: [{ content: { role: 'model', parts: pieces.map((text) => ({ text })) }, index: 0, ...more }],
    modelVersion: 'gemini-x-001',
  });
  if (!streaming) return plain({ json: { ...response(texts, last), usageMetadata: usage } });
  const items: object[] = texts.map((text) => response([text], {}));
  return streamOf('gemini', [...items, { ...response([''], last), usageMetadata: usage }]);
}

describe('an answer of Gemini’s that takes several calls', () => {
  for (const adapter of ['gemini', 'vertex'] as const) {
    for (const client of CLIENTS) {
      for (const streaming of WAYS) {
        it(`is one answer with the sum of what they took: ${adapter} for ${client}, ${how(streaming)}`, async (t) => {
          const { gateway, upstreams } = await startStage(t);
          const usage = (prompt: number, answer: number, thoughts: number, cached: number) => ({
            promptTokenCount: prompt,
            cachedContentTokenCount: cached,
            candidatesTokenCount: answer,
            thoughtsTokenCount: thoughts,
            totalTokenCount: prompt + answer + thoughts,
          });
          const stopped = (continuationToken: string) => ({
            finishReason: 'CONTINUATION',
            continuationToken,
          });
          upstreams[adapter].enqueue(
            geminiAnswer(streaming, ['One, ', 'two, '], stopped('tökén-1"'), usage(10, 65_536, 5, 4)),
            geminiAnswer(streaming, ['three, '], stopped('token-2'), usage(20, 7, 0, 8)),
            geminiAnswer(streaming, ['four.'], { finishReason: 'STOP' }, usage(30, 9, 1, 0)),
          );
          const heard = await ask(gateway, client, adapter, streaming);
          assert.equal(heard.text, 'One, two, three, four.');
          const sum = { input: 60, output: 65_536 + 5 + 7 + 10, cached: 12, reasoning: 6 };
          assert.deepEqual(heard.usage, { ...sum, cacheWrite: 0 });
          const [line] = await gateway.ended(1);
          assert.deepEqual(line?.tokens, sum);
          assert.equal(line?.tries.length, 1, 'they are one try');
          const [first, second, third] = upstreams[adapter].requests;
          const sent = first?.body.toString() ?? '';
          const withToken = (token: string) =>
            `${sent.slice(0, -1)},"continuationToken":${JSON.stringify(token)}}`;
          assert.equal(second?.body.toString(), withToken('tökén-1"'));
          assert.equal(third?.body.toString(), withToken('token-2'));
          assert.deepEqual(new Set([first?.path, second?.path, third?.path]), new Set([first?.path]));
          assert.deepEqual(third?.headers['x-goog-api-key'], first?.headers['x-goog-api-key']);
        });
      }
    }
  }

  for (const client of CLIENTS) {
    it(`is broken if its rest does not come, and ${client} is told so`, async (t) => {
      const { gateway, upstreams } = await startStage(t);
      const stopped = { finishReason: 'CONTINUATION', continuationToken: 't' };
      const busy = { error: { code: 503, message: 'busy', status: 'UNAVAILABLE' } };
      upstreams.gemini.enqueue(
        geminiAnswer(true, ['One, '], stopped, {}),
        plain({ status: 503, json: busy }),
      );
      const answer = await post(gateway, client, bodyOf(client, 'gemini', { stream: true }));
      const had = readStream(client, eventsOf(await answer.text()));
      assert.equal(had.text, 'One, ');
      assert.equal(had.end, 'error');
    });
  }
});

describe('Gemini’s calls without ids', () => {
  const TOOL = { name: 'look_up', description: 'Looks up', parameters: { type: 'object', properties: {} } };
  const tools = {
    chat: [{ type: 'function', function: TOOL }],
    messages: [{ name: TOOL.name, description: TOOL.description, input_schema: TOOL.parameters }],
    responses: [{ type: 'function', ...TOOL, strict: null }],
  };
  const PARTS = [
    { functionCall: { name: 'look_up', args: { city: 'Ulm' } }, thoughtSignature: 'c2ln' },
    { functionCall: { name: 'look_up', args: { city: 'Rom' } } },
  ];

  for (const client of CLIENTS) {
    for (const streaming of WAYS) {
      it(`get ids of ours, and go back with their signature and names: ${client}, ${how(streaming)}`, async (t) => {
        const { gateway, upstreams } = await startStage(t);
        const called = {
          candidates: [{ content: { role: 'model', parts: PARTS }, finishReason: 'STOP', index: 0 }],
          usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 9, totalTokenCount: 18 },
        };
        upstreams.vertex.enqueue(streaming ? streamOf('gemini', [called]) : plain({ json: called }));
        upstreams.vertex.reply((request) => answerTo(request, HELLO));
        const { calls } = await ask(gateway, client, 'vertex', streaming, { tools: tools[client] });
        assert.deepEqual(
          calls.map(({ name, arguments: args }) => [name, args]),
          [
            ['look_up', { city: 'Ulm' }],
            ['look_up', { city: 'Rom' }],
          ],
        );
        const [one, two] = calls.map(({ id }) => id) as [string, string];
        assert.ok(one.length > 4 && two.length > 4 && one !== two);

        // A client that keeps only what OpenAI's and Anthropic's own messages have.
        const next = {
          chat: {
            messages: [
              { role: 'user', content: 'Is it warm?' },
              {
                role: 'assistant',
                content: null,
                tool_calls: calls.map(({ id, name, arguments: args }) => ({
                  id,
                  type: 'function',
                  function: { name, arguments: JSON.stringify(args) },
                })),
              },
              { role: 'tool', tool_call_id: one, content: 'cold' },
              { role: 'tool', tool_call_id: two, content: 'warm' },
            ],
          },
          messages: {
            messages: [
              { role: 'user', content: 'Is it warm?' },
              {
                role: 'assistant',
                content: calls.map(({ id, name, arguments: input }) => ({
                  type: 'tool_use',
                  id,
                  name,
                  input,
                })),
              },
              {
                role: 'user',
                content: [
                  { type: 'tool_result', tool_use_id: one, content: 'cold' },
                  { type: 'tool_result', tool_use_id: two, content: 'warm' },
                ],
              },
            ],
          },
          responses: {
            input: [
              { role: 'user', content: 'Is it warm?' },
              ...calls.map(({ id, name, arguments: args }) => ({
                type: 'function_call',
                call_id: id,
                name,
                arguments: JSON.stringify(args),
              })),
              { type: 'function_call_output', call_id: one, output: 'cold' },
              { type: 'function_call_output', call_id: two, output: 'warm' },
            ],
          },
        }[client];
        const said = await ask(gateway, client, 'vertex', streaming, { tools: tools[client], ...next });
        assert.equal(said.text, 'Hello there');
        const contents = upstreams.vertex.requests[1]?.json()['contents'] as JsonObject[];
        assert.deepEqual(contents[1], { role: 'model', parts: PARTS });
        const results = contents[2]?.['parts'] as JsonObject[];
        assert.deepEqual(
          results.map(({ functionResponse }) => (functionResponse as JsonObject)['name']),
          ['look_up', 'look_up'],
        );
        assert.deepEqual(
          results.map(({ functionResponse }) => /cold|warm/.exec(JSON.stringify(functionResponse))?.[0]),
          ['cold', 'warm'],
        );
      });
    }
  }
});
