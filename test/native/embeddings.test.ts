/** Embeddings by the official SDK, from each provider that has them. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { BadRequestError, RateLimitError } from 'openai';
import { NANODOLLARS } from '../../src/core/usage.ts';
import { apiError, plain, type Script, type UpstreamRequest } from '../support/upstream.ts';
import { openaiSdk } from './clients.ts';
import type { AdapterName } from './loop.ts';
import { RATES, startStage } from './stage.ts';

/** As exact in four bytes as in eight. */
const VECTORS = [
  [0.5, -1, 0.25],
  [0.125, 2, -0.75],
];

/** What OpenAI's own SDK asks for, and OpenAI answers. */
function openaiAnswer(request: UpstreamRequest): Script {
  const { input, encoding_format: format } = request.json<{ input: string[]; encoding_format?: string }>();
  const encoded = (vector: number[]) => Buffer.from(new Float32Array(vector).buffer).toString('base64');
  const data = [input].flat().map((_, index) => {
    const vector = VECTORS[index] ?? [];
    return { object: 'embedding', index, embedding: format === 'base64' ? encoded(vector) : vector };
  });
  const usage = { prompt_tokens: 14, total_tokens: 14 };
  return plain({ json: { object: 'list', data, model: 'up', usage } });
}

interface Host {
  adapter: AdapterName;
  model: string;
  answer(request: UpstreamRequest): Script;
  /** The path, and the body of the first call for these two texts. */
  path: string;
  body: object;
}

const TEXTS = ['Grüße', 'Hello'];

const HOSTS: Record<string, Host> = {
  openai: {
    adapter: 'openai',
    model: 'text-embedding-3-small',
    answer: openaiAnswer,
    path: '/v1/embeddings',
    body: { model: 'text-embedding-3-small', input: TEXTS, encoding_format: 'float' },
  },
  azure: {
    adapter: 'azure',
    model: 'my-embeddings',
    answer: openaiAnswer,
    path: '/openai/v1/embeddings',
    body: { model: 'my-embeddings', input: TEXTS, encoding_format: 'float' },
  },
  gemini: {
    adapter: 'gemini',
    model: 'gemini-embedding-001',
    answer: (request) =>
      plain({
        json: {
          embeddings: VECTORS.slice(0, request.json<{ requests: object[] }>().requests.length).map(
            (values) => ({
              values,
            }),
          ),
          usageMetadata: { promptTokenCount: 14, totalTokenCount: 14 },
        },
      }),
    path: '/v1beta/models/gemini-embedding-001:batchEmbedContents',
    body: {
      requests: TEXTS.map((text) => ({
        model: 'models/gemini-embedding-001',
        content: { role: 'user', parts: [{ text }] },
      })),
    },
  },
  vertex: {
    adapter: 'vertex',
    model: 'text-embedding-005',
    answer: () =>
      plain({
        json: {
          predictions: VECTORS.map((values) => ({
            embeddings: { values, statistics: { token_count: 7, truncated: false } },
          })),
        },
      }),
    path: '/v1/projects/p/locations/us-central1/publishers/google/models/text-embedding-005:predict',
    body: { instances: TEXTS.map((content) => ({ content })) },
  },
  'bedrock (Cohere)': {
    adapter: 'bedrock',
    model: 'cohere.embed-multilingual-v3',
    answer: () =>
      plain({
        json: { id: 'i', texts: TEXTS, embeddings: { float: VECTORS }, response_type: 'embeddings_by_type' },
        headers: { 'x-amzn-bedrock-input-token-count': '14' },
      }),
    path: '/model/cohere.embed-multilingual-v3/invoke',
    body: { texts: TEXTS, input_type: 'search_document', embedding_types: ['float'] },
  },
  'bedrock (Titan)': {
    adapter: 'bedrock',
    model: 'amazon.titan-embed-text-v2:0',
    // One text after another.
    answer: (request) => {
      const embedding = VECTORS[TEXTS.indexOf(request.json<{ inputText: string }>().inputText)];
      return plain({ json: { embedding, inputTextTokenCount: 7 } });
    },
    path: '/model/amazon.titan-embed-text-v2%3A0/invoke',
    body: { inputText: TEXTS[0] },
  },
};

async function open(t: TestContext, { adapter, model, answer }: Host, config: object = {}) {
  const stage = await startStage(t, { models: { m: { provider: adapter, model } }, config });
  stage.upstreams[adapter].reply(answer);
  return { ...stage, upstream: stage.upstreams[adapter] };
}

for (const [name, host] of Object.entries(HOSTS)) {
  describe(`embeddings of ${name}`, () => {
    it('are asked for in its words, and come as numbers and as bytes', async (t) => {
      const { gateway, upstream } = await open(t, host);
      const client = openaiSdk(gateway);
      const numbers = await client.embeddings.create({ model: 'm', input: TEXTS, encoding_format: 'float' });
      assert.deepEqual(
        numbers.data.map(({ embedding }) => embedding),
        VECTORS,
      );
      assert.deepEqual(
        numbers.data.map(({ index, object }) => [index, object]),
        VECTORS.map((_, index) => [index, 'embedding']),
      );
      assert.deepEqual(numbers.usage, { prompt_tokens: 14, total_tokens: 14 });
      const [request] = upstream.requests;
      assert.equal(request?.path, host.path);
      assert.deepEqual(request?.json(), host.body);

      // Unless it is told otherwise, the SDK asks for bytes and makes numbers of them.
      const { data } = await client.embeddings.create({ model: 'm', input: TEXTS });
      assert.deepEqual(
        data.map(({ embedding }) => [...embedding]),
        VECTORS,
      );
      const bytes = await client.embeddings.create({ model: 'm', input: TEXTS, encoding_format: 'base64' });
      const [first] = bytes.data as unknown as { embedding: string }[];
      assert.deepEqual(
        [...new Float32Array(new Uint8Array(Buffer.from(first?.embedding ?? '', 'base64')).buffer)],
        VECTORS[0],
      );
    });

    it('are charged for what went in, and counted', async (t) => {
      const { gateway } = await open(t, host);
      const { data, response } = await openaiSdk(gateway)
        .embeddings.create({ model: 'm', input: TEXTS, encoding_format: 'float' })
        .withResponse();
      assert.equal(data.usage.prompt_tokens, 14);
      const [line] = await gateway.ended(1);
      assert.deepEqual(line?.tokens, { input: 14, output: 0, cached: 0, reasoning: 0 });
      assert.equal(line?.cost_usd, (14 * RATES.in) / NANODOLLARS);
      assert.equal(Number(response.headers.get('x-spillway-cost')), (14 * RATES.in) / NANODOLLARS);
      const usage = await (await fetch(`${gateway.admin}/admin/usage?by=model&model=m`)).json();
      const { rows } = usage as { rows: Record<string, number>[] };
      assert.deepEqual([rows[0]?.['input_tokens'], rows[0]?.['output_tokens']], [14, 0]);
    });
  });
}

describe('quotas', () => {
  const tenant = (quotas: object[]) => ({
    auth: 'keys',
    tenants: [{ id: 'acme', quotas, keys: [{ id: 'ci', key: 'sk-embedding-client-1' }] }],
  });

  for (const name of ['openai', 'gemini', 'bedrock (Cohere)'] as const) {
    it(`count the tokens of embeddings, and nothing of an answer: ${name}`, async (t) => {
      const quotas = [
        { of: 'tokens', per: 'day', limit: 1000 },
        { of: 'output_tokens', per: 'day', limit: 1 },
        { of: 'usd', per: 'day', limit: 1 },
      ];
      const { gateway } = await open(t, HOSTS[name] as Host, tenant(quotas));
      const client = openaiSdk(gateway, 'sk-embedding-client-1');
      await client.embeddings.create({ model: 'm', input: TEXTS });
      const answer = await fetch(`${gateway.url}/usage`, {
        headers: { authorization: 'Bearer sk-embedding-client-1' },
      });
      const { quotas: now } = (await answer.json()) as { quotas: { used: number; reserved: number }[] };
      assert.deepEqual(
        now.map(({ used, reserved }) => [used, reserved]),
        [
          [14, 0],
          [0, 0],
          [(14 * RATES.in) / NANODOLLARS, 0],
        ],
      );
    });
  }

  it('refuse what does not fit any more', async (t) => {
    const { gateway, upstream } = await open(
      t,
      HOSTS['gemini'] as Host,
      tenant([{ of: 'requests', per: 'day', limit: 1 }]),
    );
    const client = openaiSdk(gateway, 'sk-embedding-client-1');
    await client.embeddings.create({ model: 'm', input: TEXTS });
    await assert.rejects(client.embeddings.create({ model: 'm', input: TEXTS }), RateLimitError);
    assert.equal(upstream.requests.length, 1);
  });
});

describe('an embedding that does not come', () => {
  it('is asked of the next target', async (t) => {
    const targets = [
      { provider: 'bedrock', model: 'amazon.titan-embed-text-v2:0' },
      { provider: 'gemini', model: 'gemini-embedding-001' },
    ];
    const models = { m: { strategy: { mode: 'fallback' }, targets } };
    const { gateway, upstreams } = await startStage(t, { models });
    upstreams.bedrock.reply(() => apiError(503));
    upstreams.gemini.reply((HOSTS['gemini'] as Host).answer);
    const client = openaiSdk(gateway);
    const { data } = await client.embeddings.create({ model: 'm', input: 'Hello' });
    assert.deepEqual(
      data.map(({ embedding }) => [...embedding]),
      VECTORS.slice(0, 1),
    );
    assert.equal(upstreams.bedrock.requests.length, 1);
    const [line] = await gateway.ended(1);
    assert.match(line?.target ?? '', /^gemini\//);
  });

  it('is a clear error where no target has any', async (t) => {
    const { gateway } = await startStage(t);
    await assert.rejects(
      openaiSdk(gateway).embeddings.create({ model: 'anthropic', input: 'Hello' }),
      (error) => {
        assert.ok(error instanceof BadRequestError);
        assert.equal(error.code, 'unsupported_parameter');
        return true;
      },
    );
  });
});
