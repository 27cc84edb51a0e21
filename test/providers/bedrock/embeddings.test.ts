import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { type PlainReading, type Prepared, Unsupported } from '../../../src/providers/adapter.ts';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import { type AskChanges, askFor, fixedFacts, sentJson } from '../kit.ts';

const TITAN = 'amazon.titan-embed-text-v2:0';
const COHERE_3 = 'cohere.embed-multilingual-v3';
const COHERE_4 = 'us.cohere.embed-v4:0';

function prepare(request: JsonObject, model = TITAN, changes: AskChanges = {}): Prepared {
  return bedrock.prepare(askFor({ model: 'm', ...request }, { dialect: 'embeddings', model, ...changes }));
}

function read(prepared: Prepared, value: JsonObject, headers: Record<string, string> = {}): PlainReading {
  return prepared.answer(fixedFacts('the-model')).plain(value, Buffer.from(JSON.stringify(value)), headers);
}

function answered(prepared: Prepared, value: JsonObject, headers: Record<string, string> = {}): JsonObject {
  const reading = read(prepared, value, headers);
  assert.equal(reading.kind, 'answer');
  if (reading.kind !== 'answer') return {};
  assert.deepEqual(JSON.parse(reading.body.toString()), reading.value);
  return reading.value;
}

function unsupported(request: JsonObject, param: string, model = TITAN): void {
  assert.throws(
    () => prepare(request, model),
    (error: unknown) => error instanceof Unsupported && error.param === param,
  );
}

describe('embeddings of Bedrock', () => {
  it('asks Titan for one text', () => {
    const prepared = prepare({ input: 'Hello', dimensions: 512, encoding_format: 'float' });
    assert.equal(prepared.path, '/model/amazon.titan-embed-text-v2%3A0/invoke');
    assert.deepEqual(sentJson(prepared), { inputText: 'Hello', dimensions: 512 });
    assert.deepEqual(sentJson(prepare({ input: ['Hello'] })), { inputText: 'Hello' });
    assert.deepEqual(prepared.dropped, []);
    unsupported({ input: 'a', dimensions: 512 }, 'dimensions', 'amazon.titan-embed-text-v1');
  });

  it('asks Titan for one text after another', () => {
    const input = ['a', 'b', 'c'];
    const prepared = prepare({ input, dimensions: 256 });
    const reader = prepared.answer(fixedFacts('the-model'));
    const asked = [sentJson(prepared)];
    for (const [index, text] of input.entries()) {
      assert.deepEqual(asked.at(-1), { inputText: text, dimensions: 256 });
      const value = { embedding: [index, 0.5], inputTextTokenCount: 2 };
      const headers: Record<string, string> = index === 1 ? { 'x-amzn-bedrock-input-token-count': '40' } : {};
      const reading = reader.plain(value, Buffer.from(JSON.stringify(value)), headers);
      if (index < 2) {
        assert.equal(reading.kind, 'again');
        if (reading.kind === 'again') asked.push(sentJson(reading));
        continue;
      }
      assert.equal(reading.kind, 'answer');
      if (reading.kind !== 'answer') return;
      assert.deepEqual(reading.value, {
        object: 'list',
        data: [0, 1, 2].map((at) => ({ object: 'embedding', index: at, embedding: [at, 0.5] })),
        model: 'the-model',
        usage: { prompt_tokens: 44, total_tokens: 44 },
      });
      assert.equal(reading.usage?.input, 44);
    }
    // Each try begins anew.
    const again = prepared.answer(fixedFacts()).plain({ embedding: [1] }, Buffer.alloc(0), {});
    assert.deepEqual(again.kind === 'again' && sentJson(again), { inputText: 'b', dimensions: 256 });
  });

  it('counts nothing where one of the calls does not say', () => {
    for (const counts of [
      [undefined, 3],
      [3, undefined],
    ]) {
      const reader = prepare({ input: ['a', 'b'] }).answer(fixedFacts());
      const [first, second] = counts.map((count) =>
        reader.plain(
          { embedding: [1], ...(count === undefined ? {} : { inputTextTokenCount: count }) },
          Buffer.alloc(0),
          {},
        ),
      );
      assert.equal(first?.kind, 'again');
      assert.ok(second?.kind === 'answer' && second.usage === null);
    }
  });

  it('stops at the first of the calls that brings none', () => {
    const reader = prepare({ input: ['a', 'b', 'c'] }).answer(fixedFacts());
    assert.equal(reader.plain({ embedding: [1] }, Buffer.alloc(0), {}).kind, 'again');
    assert.equal(reader.plain({}, Buffer.alloc(0), {}).kind, 'broken');
  });

  it('asks Titan for a hundred texts at most', () => {
    assert.deepEqual(sentJson(prepare({ input: Array(100).fill('a') })), { inputText: 'a' });
    unsupported({ input: Array(101).fill('a') }, 'input');
  });

  it('answers as OpenAI does, with what AWS counted', () => {
    const value = { embedding: [0.5, -1], inputTextTokenCount: 3, embeddingsByType: { float: [0.5, -1] } };
    assert.deepEqual(answered(prepare({ input: 'Hello' }), value), {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }],
      model: 'the-model',
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
    const reading = read(prepare({ input: 'Hello' }), value, { 'x-amzn-bedrock-input-token-count': '7' });
    assert.equal(reading.kind, 'answer');
    if (reading.kind !== 'answer') return;
    assert.deepEqual(reading.usage, { input: 7, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 });
    assert.deepEqual(reading.output(), { characters: 0, reasoning: 0 });
    const uncounted = read(prepare({ input: 'Hello' }), { embedding: [1] });
    assert.ok(uncounted.kind === 'answer' && uncounted.usage === null);
  });

  it('asks Cohere for many texts', () => {
    const request = { input: ['a', 'b'] };
    const body = { texts: ['a', 'b'], input_type: 'search_document', embedding_types: ['float'] };
    assert.deepEqual(sentJson(prepare(request, COHERE_3)), body);
    assert.deepEqual(sentJson(prepare({ ...request, dimensions: 1024 }, COHERE_3)), body);
    assert.deepEqual(sentJson(prepare({ ...request, dimensions: 512 }, COHERE_4)), {
      ...body,
      output_dimension: 512,
    });
    const own = prepare({ ...request, input_type: 'search_query', truncate: 'END' }, COHERE_3);
    assert.deepEqual(sentJson(own), { ...body, input_type: 'search_query', truncate: 'END' });
    assert.deepEqual(own.dropped, []);
    unsupported({ ...request, dimensions: 512 }, 'dimensions', COHERE_3);
    unsupported({ input: Array(97).fill('a') }, 'input', COHERE_3);
  });

  it("reads both forms of Cohere's answer", () => {
    const prepared = prepare({ input: ['a', 'b'] }, COHERE_3);
    const vectors = [
      [1, 2],
      [3, 4],
    ];
    const header = { 'x-amzn-bedrock-input-token-count': '4' };
    for (const embeddings of [vectors, { float: vectors }] as Json[]) {
      const answer = answered(prepared, { id: 'x', embeddings, texts: ['a', 'b'] }, header);
      assert.deepEqual(answer['data'], [
        { object: 'embedding', index: 0, embedding: [1, 2] },
        { object: 'embedding', index: 1, embedding: [3, 4] },
      ]);
      assert.deepEqual(answer['usage'], { prompt_tokens: 4, total_tokens: 4 });
    }
  });

  it('gives floats as base64 if it is asked for them so', () => {
    const answer = answered(prepare({ input: 'Hello', encoding_format: 'base64' }), {
      embedding: [0.5, -2, 0.1],
    });
    const [{ embedding }] = answer['data'] as [{ embedding: string }];
    const bytes = Buffer.from(embedding, 'base64');
    assert.deepEqual(
      [0, 4, 8].map((at) => bytes.readFloatLE(at)),
      [0.5, -2, Math.fround(0.1)],
    );
  });

  it('drops by name what it cannot say', () => {
    assert.deepEqual(prepare({ input: 'a', user: 'u', input_type: 'search_query' }).dropped, [
      'user',
      'input_type',
    ]);
    assert.deepEqual(prepare({ input: 'a', user: null }).dropped, []);
    assert.throws(() => prepare({ input: 'a', user: 'u' }, TITAN, { strict: true }), Unsupported);
  });

  it('refuses what is no text', () => {
    for (const input of [null, 5, [], [1, 2], [[1, 2]], ['a', 5], '', ['a', '']] as Json[]) {
      unsupported({ input }, 'input', COHERE_3);
    }
    unsupported({}, 'input');
    for (const dimensions of ['512', 0, -1, 1.5] as Json[])
      unsupported({ input: 'a', dimensions }, 'dimensions');
    unsupported({ input: 'a', encoding_format: 'hex' }, 'encoding_format');
    unsupported({ input: 'a' }, 'model', 'us.anthropic.claude-opus-4-6-v1:0');
  });

  it('takes overrides of the target', () => {
    const prepared = prepare({ input: 'a', dimensions: 256 }, TITAN, {
      overrideParams: { dimensions: 1024 },
    });
    assert.deepEqual(sentJson(prepared), { inputText: 'a', dimensions: 1024 });
  });

  it('says why an answer is none', () => {
    const prepared = prepare({ input: ['a', 'b'] }, COHERE_3);
    for (const value of [
      {},
      { embeddings: null },
      { embeddings: [[1], ['a']] },
      { embeddings: { int8: [[1], [2]] } },
      { embeddings: [[1]] },
      { embeddings: [[], []] },
      { embedding: [1] },
    ] as JsonObject[]) {
      assert.equal(read(prepared, value).kind, 'broken', JSON.stringify(value));
    }
    assert.deepEqual(read(prepared, { message: 'Nope' }), {
      kind: 'error',
      error: { error: { message: 'Nope' } },
    });
  });
});
