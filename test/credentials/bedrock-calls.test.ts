/** Calls of Bedrock through the gateway, where no key is configured. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { apiError, plain, startUpstream, type UpstreamRequest } from '../support/upstream.ts';

const TOKEN = 'ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl';
const NAMES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_BEARER_TOKEN_BEDROCK'];

/** A gateway in front of Bedrock's stand-in, in this environment. */
async function open(t: TestContext, environment: Record<string, string>) {
  for (const name of NAMES) {
    const before = process.env[name];
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
    delete process.env[name];
  }
  Object.assign(process.env, environment);
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const gateway = await startGateway({
    providers: { bedrock: { adapter: 'bedrock', region: 'us-east-1', base_url: upstream.url } },
    models: { m: { provider: 'bedrock', model: 'amazon.titan-embed-text-v2:0' } },
    defaults: { retry: { attempts: 0 } },
  });
  t.after(() => gateway.close());
  const embed = (input: string[]) =>
    fetch(`${gateway.url}/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', input }),
    });
  return { upstream, embed, gateway };
}

const embedding = () => plain({ json: { embedding: [1], inputTextTokenCount: 2 } });

describe('Bedrock without a key', () => {
  const identity = { AWS_ACCESS_KEY_ID: 'AKFROMENV', AWS_SECRET_ACCESS_KEY: 'not-a-secret' };

  it('is sent each of the calls of one request with a signature of its own', async (t) => {
    const { upstream, embed } = await open(t, identity);
    upstream.reply(embedding);
    const answer = await embed(['one', 'two', 'three']);
    assert.equal(answer.status, 200);
    const { data, usage } = (await answer.json()) as { data: object[]; usage: object };
    assert.equal(data.length, 3);
    assert.deepEqual(usage, { prompt_tokens: 6, total_tokens: 6 });
    assert.equal(upstream.requests.length, 3);
    for (const { headers, body } of upstream.requests) {
      assert.match(headers['authorization'] ?? '', /^AWS4-HMAC-SHA256 Credential=AKFROMENV\//);
      assert.equal(headers['x-amz-content-sha256'], createHash('sha256').update(body).digest('hex'));
    }
    assert.equal(new Set(upstream.requests.map(({ headers }) => headers['authorization'])).size, 3);
  });

  it('is called with the bearer key of the environment, which nobody is shown', async (t) => {
    const { upstream, embed, gateway } = await open(t, { ...identity, AWS_BEARER_TOKEN_BEDROCK: TOKEN });
    const quoting = ({ headers }: UpstreamRequest) =>
      apiError(400, { message: `What is ${headers['authorization']}?` });
    upstream.reply(embedding);
    assert.equal((await embed(['one', 'two'])).status, 200);
    assert.deepEqual(
      upstream.requests.map(({ headers }) => headers['authorization']),
      [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`],
    );
    upstream.reply(quoting);
    const refused = await embed(['one']);
    assert.ok(!(await refused.text()).includes(TOKEN));
    const lines = await gateway.ended(2);
    assert.ok(!JSON.stringify(lines).includes(TOKEN));
  });
});
