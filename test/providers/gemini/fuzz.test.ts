import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isJsonObject, type Json, type JsonObject } from '../../../src/core/json.ts';
import { accumulate, completionOf, plain, sse, streamed } from '../kit.ts';
import { bytesOf, json, prepare, USAGE, type WirePart, type WireResponse, whole } from './kit.ts';

/** Why Google said that this candidate ended. */
function reasonsOf(events: readonly unknown[], index: Json | undefined): string[] {
  return events.flatMap((event) => {
    const list = isJsonObject(event) && Array.isArray(event['candidates']) ? event['candidates'] : [];
    return list.flatMap((one, place) => {
      if (!isJsonObject(one) || (one['index'] ?? place) !== index) return [];
      return typeof one['finishReason'] === 'string' && one['finishReason'] !== ''
        ? [one['finishReason']]
        : [];
    });
  });
}

describe('a fuzzed Gemini', () => {
  const text = fc.string({ maxLength: 5 });
  const part = fc.oneof(
    { weight: 3, arbitrary: text.map((one) => ({ text: one })) },
    text.map((one) => ({ text: one, thought: true })),
    fc.jsonValue({ maxDepth: 2 }).map((a) => ({ functionCall: { name: 'f', args: { a } } })),
    fc.constant({ functionCall: { name: 'g', willContinue: true } }),
    fc
      .record({
        jsonPath: fc.constantFrom('$.a', '$.a.b', '$.c[0]', '$.c[1]', '$', 'x', '$.__proto__.x'),
        stringValue: text,
      })
      .map((piece) => ({ functionCall: { partialArgs: [piece] } })),
    fc.constantFrom({ functionCall: {} }, { text: '', thoughtSignature: 'AA==' }, { odd: 1 }, 5, null),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const candidate = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record(
        {
          index: fc.constantFrom(0, 0, 0, 1, -1),
          content: fc.record({ parts: fc.array(part, { maxLength: 3 }) }),
          finishReason: fc.constantFrom('STOP', 'MAX_TOKENS', 'SAFETY', 'MALFORMED_RESPONSE', 'ODD', ''),
          continuationToken: fc.constantFrom('t1', 't2'),
        },
        { requiredKeys: ['content'] },
      ),
    },
    fc.jsonValue({ maxDepth: 3 }),
  );
  const event = fc.oneof(
    { weight: 5, arbitrary: fc.record({ candidates: fc.array(candidate, { maxLength: 2 }) }) },
    fc.constant({ usageMetadata: USAGE }),
    fc.jsonValue({ maxDepth: 4 }),
  );

  it('never makes a malformed chunk, nor a finish that did not come, nor loses a text', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), (events) => {
        const told = streamed(prepare({}), [sse(events.map((data) => ({ data: JSON.stringify(data) })))]);
        if (told.chunks.length === 0) return;
        const completion = accumulate(told.chunks);
        for (const choice of completion['choices'] as JsonObject[]) {
          const { message, finish_reason: finish, index } = choice;
          if (finish !== null) assert.ok(reasonsOf(events, index).length > 0, 'a finish that did not come');
          for (const call of ((message as JsonObject)['tool_calls'] ?? []) as JsonObject[]) {
            const args = String((call['function'] as JsonObject)['arguments']);
            if (finish !== null) JSON.parse(args);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('loses no piece of a text or of arguments that came before the end', () => {
    const piece = fc.oneof(
      text.map((one) => ({ text: one })),
      text.map((city) => ({ functionCall: { name: 'f', args: { city } } })),
    );
    fc.assert(
      fc.property(fc.array(fc.array(piece, { maxLength: 3 }), { minLength: 1, maxLength: 6 }), (groups) => {
        const events = groups.map(
          (parts): WireResponse => ({ candidates: [{ content: { parts: parts as WirePart[] } }] }),
        );
        const last = { candidates: [{ finishReason: 'STOP' }], usageMetadata: USAGE };
        const told = streamed(prepare({}), [bytesOf([...events, last])]);
        const all = json(whole(groups.flat() as WirePart[]));
        assert.deepEqual(accumulate(told.chunks), completionOf(prepare({}), all));
      }),
    );
  });

  it('throws nothing for answers that are whole', () => {
    fc.assert(
      fc.property(event, (value) => {
        if (isJsonObject(value)) plain(prepare({}), value);
      }),
      { numRuns: 2000 },
    );
  });
});
