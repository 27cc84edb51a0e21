import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CreateEmbeddingResponse, EmbeddingCreateParams } from 'openai/resources/embeddings';
import type { JsonObject } from '../../../src/core/json.ts';
import { FACTS, prepare, sent, textOf } from './helpers.ts';

const ASKED: EmbeddingCreateParams = { model: 'up', input: ['one', 'two'], encoding_format: 'base64' };

describe('a request for embeddings', () => {
  it('goes out byte for byte, to its own path', () => {
    const body = '{ "input":"H\\u0069","model":"up" }';
    const prepared = prepare(body, { dialect: 'embeddings' });
    assert.deepEqual([prepared.path, textOf(prepared), prepared.dropped], ['/embeddings', body, []]);
  });

  it("has the target's model, and of its overrides what is about embeddings", () => {
    const overrideParams = { temperature: 0, max_tokens: 5, dimensions: 256, encoding_format: null };
    const { body } = sent({ ...ASKED, model: 'small' }, { dialect: 'embeddings', overrideParams });
    assert.deepEqual(body, { model: 'up', input: ['one', 'two'], dimensions: 256 });
  });
});

describe('embeddings', () => {
  const plain = (value: object) =>
    prepare(ASKED, { dialect: 'embeddings' })
      .answer(FACTS)
      .plain(value as JsonObject, Buffer.from('the bytes'), {});
  const ANSWER: CreateEmbeddingResponse = {
    object: 'list',
    model: 'text-embedding-3-small',
    data: [{ object: 'embedding', index: 0, embedding: [0.1, -0.2] }],
    usage: { prompt_tokens: 8, total_tokens: 8 },
  };

  it('are passed on as they came, with what the prompt took', () => {
    const read = plain(ANSWER);
    assert.ok(read.kind === 'answer');
    assert.equal(read.body.toString(), 'the bytes');
    assert.deepEqual(read.usage, { input: 8, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 });
    assert.deepEqual(read.output(), { characters: 0, reasoning: 0 });
  });

  it('have no output, whatever a host says of one', () => {
    const odd = plain({ ...ANSWER, usage: { total_tokens: 9, completion_tokens: 5 } });
    assert.ok(odd.kind === 'answer');
    assert.deepEqual([odd.usage?.input, odd.usage?.output], [9, 0]);
    const silent = plain({ data: ANSWER.data });
    assert.ok(silent.kind === 'answer' && silent.usage === null);
  });

  it('are none without data, or with an error', () => {
    assert.equal(plain({ error: { message: 'no' } }).kind, 'error');
    assert.equal(plain({ object: 'error', message: 'no' }).kind, 'error');
    for (const odd of [{}, { data: [] }, { data: {} }, { object: 'list' }])
      assert.equal(plain(odd).kind, 'broken');
  });
});
