/** Answers that Google gives in several calls, since one call gives only so many tokens. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import type { AnswerReader, Prepared } from '../../../src/providers/adapter.ts';
import {
  accumulate,
  checkCompletion,
  everySplit,
  fixedFacts,
  plain,
  sentJson,
  Told,
  translate,
} from '../kit.ts';
import { bytesOf, json, prepare, type WirePart, type WireResponse } from './kit.ts';

const usage = (output: number, prompt = 10) => ({
  promptTokenCount: prompt,
  cachedContentTokenCount: 2,
  candidatesTokenCount: output,
  thoughtsTokenCount: 1,
  totalTokenCount: prompt + output + 1,
});

function stopped(parts: WirePart[], continuationToken: string, output = 5): WireResponse {
  return {
    candidates: [{ content: { parts }, finishReason: 'CONTINUATION', continuationToken, index: 0 }],
    usageMetadata: usage(output),
  };
}

function ended(parts: WirePart[], finishReason = 'STOP'): WireResponse {
  return { candidates: [{ content: { parts }, finishReason, index: 0 }], usageMetadata: usage(3, 20) };
}

/** Asks as long as there is more to come: what was told, and the bodies of all calls but the first. */
function askAll(
  prepared: Prepared,
  calls: readonly (readonly WireResponse[])[],
): { told: Told; bodies: JsonObject[] } {
  const format = prepared.answer(fixedFacts()).stream({});
  const told = new Told();
  const bodies: JsonObject[] = [];
  for (const events of calls) {
    translate(format, [bytesOf(events)], told);
    if (told.rest === null) break;
    bodies.push(sentJson({ body: told.rest }));
    told.rest = null;
  }
  return { told, bodies };
}

function askAllPlain(reader: AnswerReader, answers: readonly WireResponse[]) {
  const bodies: JsonObject[] = [];
  for (const answer of answers) {
    const reading = plain(reader, json(answer));
    if (reading.kind !== 'again') return { reading, bodies };
    bodies.push(sentJson(reading));
  }
  return { reading: null, bodies };
}

function firstOf(completion: JsonObject): { message: JsonObject; finish_reason: string } {
  const [choice] = completion['choices'] as { message: JsonObject; finish_reason: string }[];
  assert.ok(choice !== undefined);
  return choice;
}

const FIRST = [{ text: 'Hm', thought: true }, { text: 'One, ' }];
const SECOND = [
  { text: 'two, ' },
  { functionCall: { id: 'a', name: 'f', args: { a: 1 } }, thoughtSignature: 'U2ln' },
];
const THIRD = [{ text: 'three.' }, { functionCall: { id: 'b', name: 'f', args: {} } }];

describe('an answer in several calls', () => {
  const prepared = prepare({ temperature: 1, tools: [{ type: 'function', function: { name: 'f' } }] });
  const calls = [stopped(FIRST, 't1'), stopped(SECOND, 't2'), ended(THIRD)];

  it('is asked for with the same body and the token', () => {
    const expected = ['t1', 't2'].map((continuationToken) => ({ ...sentJson(prepared), continuationToken }));
    assert.deepEqual(askAllPlain(prepared.answer(fixedFacts()), calls).bodies, expected);
    assert.deepEqual(
      askAll(
        prepared,
        calls.map((one) => [one]),
      ).bodies,
      expected,
    );
  });

  it('is one answer, with all parts and the sum of what was used', () => {
    const { reading } = askAllPlain(prepared.answer(fixedFacts()), calls);
    assert.ok(reading?.kind === 'answer');
    checkCompletion(reading.value);
    const choice = firstOf(reading.value);
    assert.equal(choice.finish_reason, 'tool_calls');
    assert.equal(choice.message['content'], 'One, two, three.');
    assert.equal(choice.message['reasoning_content'], 'Hm');
    assert.deepEqual(
      (choice.message['tool_calls'] as JsonObject[]).map(({ id }) => id),
      ['a', 'b'],
    );
    assert.deepEqual(reading.usage, { input: 40, output: 16, cached: 6, cacheWrite: 0, reasoning: 3 });
  });

  it('is the same as a stream, which finishes once', () => {
    const { told } = askAll(
      prepared,
      calls.map((one) => [one]),
    );
    assert.ok(told.isWhole);
    const { reading } = askAllPlain(prepared.answer(fixedFacts()), calls);
    assert.ok(reading?.kind === 'answer');
    assert.deepEqual(accumulate(told.chunks), reading.value);
    assert.deepEqual(told.usages.at(-1), reading.usage);
  });

  it('is remembered with the calls of all', () => {
    const facts = fixedFacts();
    askAllPlain(prepared.answer(facts), calls);
    assert.deepEqual(facts.remembered, [
      { callIds: ['a', 'b'], what: { thinkingBlocks: [], thoughtSignatures: { a: 'U2ln' } } },
    ]);
  });

  it('may be cut anywhere on the wire', () => {
    const bytes = bytesOf([stopped(FIRST, 't1')]);
    for (const pieces of everySplit(bytes)) {
      const format = prepared.answer(fixedFacts()).stream({});
      const told = translate(format, pieces);
      assert.equal(sentJson({ body: told.rest ?? [] })['continuationToken'], 't1');
    }
  });

  it('has a call whose arguments come in pieces of two calls', () => {
    const begin = {
      functionCall: { name: 'f', willContinue: true, partialArgs: [{ jsonPath: '$.a', stringValue: 'x' }] },
    };
    const more = { functionCall: { partialArgs: [{ jsonPath: '$.a', stringValue: 'y' }] } };
    const { told } = askAll(prepare({}), [[stopped([begin], 't1')], [ended([more])]]);
    const choice = firstOf(accumulate(told.chunks));
    const [call] = choice.message['tool_calls'] as { function: JsonObject }[];
    assert.equal(call?.function['arguments'], '{"a":"xy"}');
  });

  it('has citations that point into the text of all, each once', () => {
    const cited = (response: WireResponse): WireResponse => ({
      ...response,
      candidates: (response.candidates ?? []).map((one) => ({
        ...one,
        groundingMetadata: {
          groundingChunks: [{ web: { uri: 'https://a.test', title: 'a' } }],
          groundingSupports: [
            { segment: { startIndex: 1, endIndex: 3, text: 'bc' }, groundingChunkIndices: [0] },
          ],
        },
      })),
    });
    const places = (...calls: WireResponse[]) => {
      const { told } = askAll(
        prepare({}),
        calls.map((one) => [one]),
      );
      const links = firstOf(accumulate(told.chunks)).message['annotations'] as { url_citation: JsonObject }[];
      return links.map(({ url_citation: link }) => [link['start_index'], link['end_index']]);
    };
    const [first, last] = [stopped([{ text: 'abc ' }], 't1'), ended([{ text: 'abc' }])];
    assert.deepEqual(places(cited(first), cited(last)), [
      [1, 3],
      [5, 7],
    ]);
    assert.deepEqual(places(cited(first), last), [[1, 3]]);
    const picture = { inlineData: { mimeType: 'image/png', data: 'AAAA' } };
    const before = '![image](data:image/png;base64,AAAA)'.length;
    assert.deepEqual(places(stopped([picture], 't1'), cited(last)), [[before + 1, before + 3]]);
  });
});

describe('what is not told of an answer in several calls', () => {
  it('is not made up: neither usage of the call before, nor a finish', () => {
    const { told } = askAll(prepare({}), [
      [stopped([{ text: 'a' }], 't')],
      [{ candidates: [{ content: { parts: [{ text: 'b' }] } }], usageMetadata: { promptTokenCount: 1 } }],
    ]);
    assert.deepEqual(told.usages.at(-1), { input: 11, output: 6, cached: 2, cacheWrite: 0, reasoning: 1 });
    assert.equal(firstOf(accumulate(told.chunks)).finish_reason, null);
    const { reading } = askAllPlain(prepare({}).answer(fixedFacts()), [
      stopped([{ text: 'a' }], 't'),
      { candidates: [{ content: { parts: [{ text: 'b' }] } }] },
    ]);
    assert.equal(reading?.kind, 'broken');
  });
});

describe('an answer in several calls that has no end', () => {
  it('is asked for 32 times, and then is one that grew too long', () => {
    const calls = Array.from({ length: 40 }, (_, index) => stopped([{ text: 'x' }], `t${index}`));
    const { told, bodies } = askAll(
      prepare({}),
      calls.map((one) => [one]),
    );
    assert.equal(bodies.length, 31);
    const choice = firstOf(accumulate(told.chunks));
    assert.deepEqual([choice.message['content'], choice.finish_reason], ['x'.repeat(32), 'length']);
    const { reading } = askAllPlain(prepare({}).answer(fixedFacts()), calls);
    assert.ok(reading?.kind === 'answer');
    assert.deepEqual(reading.value, accumulate(told.chunks));
  });

  it('ends where the token is the one that was sent', () => {
    const { told, bodies } = askAll(prepare({}), [
      [stopped([{ text: 'a' }], 't')],
      [stopped([{ text: 'b' }], 't')],
    ]);
    assert.equal(bodies.length, 1);
    const choice = firstOf(accumulate(told.chunks));
    assert.equal(choice.finish_reason, 'length');
  });

  it('ends where one of several choices would have to go on', () => {
    const both = stopped([{ text: 'a' }], 't');
    both.candidates?.push({ content: { parts: [{ text: 'b' }] }, finishReason: 'STOP', index: 1 });
    const { reading, bodies } = askAllPlain(prepare({ n: 2 }).answer(fixedFacts()), [both]);
    assert.ok(reading?.kind === 'answer');
    assert.equal(bodies.length, 0);
    assert.deepEqual(
      (reading.value['choices'] as JsonObject[]).map((choice) => choice['finish_reason']),
      ['length', 'stop'],
    );
  });

  it('is withheld where the prompt is blocked at last', () => {
    const blocked = { promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: usage(0) };
    const { told } = askAll(prepare({}), [[stopped([{ text: 'a' }], 't')], [blocked]]);
    const choice = firstOf(accumulate(told.chunks));
    assert.deepEqual([choice.message['content'], choice.finish_reason], ['a', 'content_filter']);
  });
});

describe('a stream with a token on its way', () => {
  const passing = (text: string, continuationToken?: string): WireResponse => ({
    candidates: [
      { content: { parts: [{ text }] }, index: 0, ...(continuationToken ? { continuationToken } : {}) },
    ],
  });
  const restOf = (...events: WireResponse[]) =>
    translate(prepare({}).answer(fixedFacts()).stream({}), [bytesOf(events)]).rest;

  it('goes on by itself', () => {
    const { told, bodies } = askAll(prepare({}), [[passing('a', 't1'), ended([{ text: 'b' }])]]);
    assert.equal(bodies.length, 0);
    assert.ok(told.isWhole);
  });

  it('is gone on with where it ends with that token', () => {
    assert.notEqual(restOf(passing('a'), passing('b', 't1')), null);
  });

  it('is not, where more came after it: that would come twice', () => {
    assert.equal(restOf(passing('a', 't1'), passing('b')), null);
  });

  it('is gone on with by the last token where Google says that it stopped', () => {
    const last = { candidates: [{ finishReason: 'CONTINUATION', index: 0 }] };
    assert.notEqual(restOf(passing('a', 't1'), passing('b'), last), null);
  });

  it('is over where it was cut without a token, or ended otherwise', () => {
    assert.equal(restOf(passing('a')), null);
    assert.equal(
      restOf(passing('a', 't1'), { candidates: [{ finishReason: 'MAX_TOKENS', index: 0 }] }),
      null,
    );
  });
});
