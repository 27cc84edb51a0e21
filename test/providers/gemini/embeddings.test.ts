import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import type { JsonObject } from '../../../src/core/json.ts';
import { type Adapter, type Ask, type Prepared, Unsupported } from '../../../src/providers/adapter.ts';
import { gemini } from '../../../src/providers/gemini/adapter.ts';
import { vertex } from '../../../src/providers/vertex/adapter.ts';
import { type AskChanges, askFor, fixedFacts, plain, sentJson, sse, streamed } from '../kit.ts';
import { recorder } from './kit.ts';

const VECTOR = [0.25, -1.5, 3];

function ask(body: JsonObject, changes: AskChanges = {}): Ask {
  return askFor(body, { dialect: 'embeddings', model: 'gemini-embedding-2', ...changes });
}

/** Asks for all of it: the bodies that are sent, and the answer. `answer`: to so many texts. */
function askAll(adapter: Adapter, body: JsonObject, model: string, answer: (body: JsonObject) => JsonObject) {
  const prepared = adapter.prepare(ask(body, { model }));
  const reader = prepared.answer(fixedFacts(model));
  const bodies: JsonObject[] = [];
  let next: Pick<Prepared, 'body'> = prepared;
  for (;;) {
    const sent = sentJson(next);
    bodies.push(sent);
    const reading = plain(reader, answer(sent));
    if (reading.kind === 'again') next = reading;
    else return { path: prepared.path, bodies, reading };
  }
}

function batch({ requests }: JsonObject): JsonObject {
  const embeddings = (requests as JsonObject[]).map(() => ({ values: VECTOR }));
  return { embeddings, usageMetadata: { promptTokenCount: embeddings.length * 2 } };
}

function prediction({ instances }: JsonObject): JsonObject {
  const statistics = { token_count: 3, truncated: false };
  return {
    predictions: (instances as JsonObject[]).map(() => ({ embeddings: { values: VECTOR, statistics } })),
  };
}

const embedded = (): JsonObject => ({
  embedding: { values: VECTOR },
  usageMetadata: { promptTokenCount: 4 },
});

describe("embeddings are asked for as Google's SDK does", () => {
  const texts = ['one', 'two'];
  const config = { outputDimensionality: 3 };

  it('of the Gemini API', async (t) => {
    const sdk = await recorder(
      t,
      (baseUrl) => new GoogleGenAI({ apiKey: 'k', apiVersion: 'v1beta', httpOptions: { baseUrl } }),
    );
    for (const dimensions of [null, 3]) {
      const prepared = gemini.prepare(ask({ input: texts, ...(dimensions === null ? {} : { dimensions }) }));
      const expected = await sdk.embed({
        model: 'gemini-embedding-2',
        // The SDK takes texts alone for parts of one.
        contents: texts.map((text) => ({ role: 'user', parts: [{ text }] })),
        ...(dimensions === null ? {} : { config }),
      });
      assert.equal(prepared.path, expected.path);
      assert.deepEqual(sentJson(prepared), expected.body);
    }
  });

  it('of Vertex, by its two methods', async (t) => {
    const sdk = await recorder(
      t,
      (baseUrl) =>
        new GoogleGenAI({ vertexai: true, apiKey: 'k', apiVersion: 'v1', httpOptions: { baseUrl } }),
    );
    for (const model of ['text-embedding-005', 'gemini-embedding-001', 'gemini-embedding-2']) {
      const prepared = vertex.prepare(ask({ input: 'one', dimensions: 3 }, { model }));
      const expected = await sdk.embed({ model, contents: 'one', config });
      assert.equal(prepared.path, expected.path);
      assert.deepEqual(sentJson(prepared), expected.body);
    }
  });
});

describe('the embeddings that come', () => {
  it('are those of OpenAI, with their usage', () => {
    const { reading } = askAll(gemini, { input: ['a', 'b'] }, 'm', batch);
    assert.ok(reading.kind === 'answer');
    assert.deepEqual(JSON.parse(reading.body.toString()), {
      object: 'list',
      data: [0, 1].map((index) => ({ object: 'embedding', index, embedding: VECTOR })),
      model: 'm',
      usage: { prompt_tokens: 4, total_tokens: 4 },
    });
    assert.deepEqual(reading.usage, { input: 4, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 });
    assert.deepEqual(reading.output(), { characters: 0, reasoning: 0 });
  });

  it("are read by OpenAI's SDK, which asks for base64 unasked", async () => {
    const client = new OpenAI({
      apiKey: 'k',
      fetch: async (_url, init) => {
        const body = JSON.parse(String(init?.body)) as JsonObject;
        assert.equal(body['encoding_format'], 'base64');
        const { reading } = askAll(gemini, body, 'm', batch);
        assert.ok(reading.kind === 'answer');
        return new Response(Uint8Array.from(reading.body), {
          headers: { 'content-type': 'application/json' },
        });
      },
    });
    const { data } = await client.embeddings.create({ model: 'm', input: ['a', 'b'] });
    assert.deepEqual(
      data.map(({ embedding }) => [...embedding]),
      [VECTOR, VECTOR],
    );
  });

  it('come in several calls where there are more texts than one takes, in their order', () => {
    const input = Array.from({ length: 250 }, (_, index) => `text ${index}`);
    const answer = (body: JsonObject) => ({
      embeddings: (body['requests'] as { content: { parts: { text: string }[] } }[]).map(({ content }) => ({
        values: [Number(content.parts[0]?.text.slice(5))],
      })),
      usageMetadata: { promptTokenCount: 1 },
    });
    const { bodies, reading } = askAll(gemini, { input }, 'm', answer);
    assert.deepEqual(
      bodies.map(({ requests }) => (requests as JsonObject[]).length),
      [100, 100, 50],
    );
    assert.ok(reading.kind === 'answer');
    assert.deepEqual(
      (reading.value['data'] as JsonObject[]).map(({ index, embedding }) => [index, embedding]),
      input.map((_, index) => [index, [index]]),
    );
    assert.equal(reading.usage?.input, 3);
  });

  it('come one by one from the larger models of Vertex, many at once from the others', () => {
    const input = ['a', 'b', 'c'];
    const rows = [
      ['text-embedding-005', ':predict', 1, prediction, 9],
      ['gemini-embedding-001', ':predict', 3, prediction, 9],
      ['gemini-embedding-2', ':embedContent', 3, embedded, 12],
      ['multilingual-e5-maas', ':embedContent', 3, embedded, 12],
    ] as const;
    for (const [model, method, calls, answer, tokens] of rows) {
      const { path, bodies, reading } = askAll(vertex, { input }, model, answer);
      assert.equal(path, `/v1/publishers/google/models/${model}${method}`);
      assert.equal(bodies.length, calls);
      assert.ok(reading.kind === 'answer');
      assert.equal((reading.value['data'] as JsonObject[]).length, 3);
      assert.equal(reading.usage?.input, tokens);
    }
  });

  it('have no usage where Google says none', () => {
    const { reading } = askAll(gemini, { input: 'a' }, 'm', () => ({ embeddings: [{ values: VECTOR }] }));
    assert.ok(reading.kind === 'answer');
    assert.equal(reading.usage, null);
    const input = Array.from({ length: 150 }, () => 'a');
    let calls = 0;
    const partly = askAll(gemini, { input }, 'm', (body) => {
      const { embeddings = null, usageMetadata = null } = batch(body);
      return calls++ === 0 ? { embeddings } : { embeddings, usageMetadata };
    }).reading;
    assert.ok(partly.kind === 'answer');
    assert.equal(partly.usage, null);
    const silent = { predictions: [{ embeddings: { values: VECTOR } }] };
    const other = askAll(vertex, { input: 'a' }, 'text-embedding-005', () => silent).reading;
    assert.ok(other.kind === 'answer');
    assert.equal(other.usage, null);
  });

  it('are broken where one is missing or makes no sense, and an error where they say so', () => {
    for (const answer of [
      {},
      { embeddings: [] },
      { embeddings: 5 },
      { embeddings: [{ values: VECTOR }] },
      { embeddings: [{ values: VECTOR }, { values: [] }] },
      { embeddings: [{ values: VECTOR }, { values: ['1'] }] },
      { embeddings: [{ values: VECTOR }, null] },
      { embeddings: [{ values: VECTOR }, { values: VECTOR }, { values: VECTOR }] },
    ]) {
      const { reading } = askAll(gemini, { input: ['a', 'b'] }, 'm', () => answer);
      assert.equal(reading.kind, 'broken', JSON.stringify(answer));
    }
    for (const answer of [
      {},
      { predictions: 5 },
      { predictions: [5] },
      { predictions: [{ embeddings: 5 }] },
    ]) {
      assert.equal(askAll(vertex, { input: 'a' }, 'text-embedding-005', () => answer).reading.kind, 'broken');
    }
    assert.equal(askAll(vertex, { input: 'a' }, 'gemini-embedding-2', () => ({})).reading.kind, 'broken');
    const error = { error: { code: 400, message: 'no' } };
    assert.deepEqual(askAll(gemini, { input: 'a' }, 'm', () => error).reading, { kind: 'error', error });
  });

  it('never come as a stream', () => {
    const told = streamed(gemini.prepare(ask({ input: 'a' })), [sse([{ data: { embeddings: [] } }])]);
    assert.equal(told.breaks.length, 1);
  });
});

describe('embeddings that cannot be asked for', () => {
  it('are those of tokens', () => {
    for (const input of [[1, 2], [[1, 2]], [], null, 5]) {
      assert.throws(() => gemini.prepare(ask({ input })), Unsupported);
    }
  });

  it('are asked for without what Google has nothing for, which is named', () => {
    const body = { user: 'u', input: 'a', encoding_format: 'float', odd: 1, none: null, off: false };
    const prepared = gemini.prepare(ask(body, { overrideParams: { temperature: 1, dimensions: 2 } }));
    assert.deepEqual(prepared.dropped, ['user', 'odd']);
    const [request] = sentJson(prepared)['requests'] as JsonObject[];
    assert.deepEqual(request, {
      model: 'models/gemini-embedding-2',
      content: { role: 'user', parts: [{ text: 'a' }] },
      outputDimensionality: 2,
    });
    assert.throws(() => gemini.prepare(ask(body, { strict: true })), Unsupported);
  });
});
