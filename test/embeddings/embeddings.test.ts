import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import OpenAI from 'openai';
import { startGateway } from '../support/gateway.ts';
import { apiError, plain, startUpstream } from '../support/upstream.ts';

async function through(t: TestContext) {
  const [one, other] = await Promise.all([startUpstream(), startUpstream()]);
  t.after(() => one.close());
  t.after(() => other.close());
  const embedded = (model: string) => () =>
    plain({
      json: {
        object: 'list',
        data: [{ object: 'embedding', index: 0, embedding: [0.5, -0.25] }],
        model,
        usage: { prompt_tokens: 5, total_tokens: 5 },
      },
    });
  one.reply(embedded('one'));
  other.reply(embedded('other'));
  const gateway = await startGateway({
    providers: {
      one: { adapter: 'openai', base_url: one.url, api_key: 'sk-one' },
      other: { adapter: 'vllm', base_url: other.url, api_key: 'sk-other' },
      claude: { adapter: 'anthropic', base_url: 'http://127.0.0.1:9', api_key: 'sk-claude' },
    },
    defaults: { retry: { attempts: 0 } },
    models: {
      m: { provider: 'one', model: 'text-embedding-3-small' },
      both: {
        strategy: { mode: 'fallback' },
        targets: [
          { provider: 'one', model: 'text-embedding-3-small' },
          { provider: 'other', model: 'bge' },
        ],
      },
      without: { provider: 'claude', model: 'claude-opus-5' },
      second: {
        strategy: { mode: 'fallback' },
        targets: [
          { provider: 'claude', model: 'claude-opus-5' },
          { provider: 'other', model: 'bge' },
        ],
      },
    },
  });
  t.after(() => gateway.close());
  const client = new OpenAI({ baseURL: gateway.url, apiKey: 'sk-of-the-client', maxRetries: 0 });
  return { gateway, client, one, other };
}

describe('embeddings by the official SDK', () => {
  it('are relayed, and counted', async (t) => {
    const { client, one, gateway } = await through(t);
    const { data, response } = await client.embeddings
      .create({ model: 'm', input: ['a', 'b'], dimensions: 2, encoding_format: 'float' })
      .withResponse();
    assert.deepEqual(data.data[0]?.embedding, [0.5, -0.25]);
    assert.equal(response.headers.get('x-spillway-target'), 'one/text-embedding-3-small');
    const request = await one.nextRequest();
    assert.equal(request.path, '/v1/embeddings');
    assert.deepEqual(request.json(), {
      model: 'text-embedding-3-small',
      input: ['a', 'b'],
      dimensions: 2,
      encoding_format: 'float',
    });
    const [line] = await gateway.ended(1);
    assert.deepEqual([line?.tokens?.input, line?.tokens?.output], [5, 0]);
  });

  it('fall back', async (t) => {
    const { client, one, other } = await through(t);
    one.enqueue(apiError(503));
    const answer = await client.embeddings.create({ model: 'both', input: 'a', encoding_format: 'float' });
    assert.equal(answer.model, 'other');
    assert.equal(other.requests.length, 1);
  });

  it('pass over targets that have none, and are refused where no target has any', async (t) => {
    const { client } = await through(t);
    const answer = await client.embeddings.create({ model: 'second', input: 'a', encoding_format: 'float' });
    assert.equal(answer.model, 'other');
    await assert.rejects(client.embeddings.create({ model: 'without', input: 'a' }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.equal(error.param, 'model');
      assert.match(error.message, /no embeddings/);
      return true;
    });
  });

  it('name the field that is wrong', async (t) => {
    const { client, one } = await through(t);
    await assert.rejects(client.embeddings.create({ model: 'm', input: ['a', ''] }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.equal(error.param, 'input[1]');
      return true;
    });
    assert.equal(one.requests.length, 0);
  });
});
