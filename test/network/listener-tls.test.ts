import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import OpenAI, { APIConnectionError } from 'openai';
import { Agent, fetch } from 'undici';
import { AUTHORITY, SERVER_FILES } from '../support/certificates.ts';
import { startGateway } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

const MESSAGES = [{ role: 'user' as const, content: 'hello' }];

/** A gateway that speaks TLS, and a way to reach it. */
async function startSecure(t: TestContext) {
  const upstream = await startUpstream();
  const config = {
    server: { tls: SERVER_FILES },
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { m: { provider: 'a', model: 'up' } },
  };
  const gateway = await startGateway(config);
  const trusting = new Agent({ connect: { ca: AUTHORITY } });
  t.after(async () => {
    await trusting.close();
    await gateway.close();
    await upstream.close();
  });
  return { gateway, config, trusting };
}

describe('a listener with TLS', () => {
  it('says https where it listens, and serves the official SDK', async (t) => {
    const { gateway, trusting } = await startSecure(t);
    assert.match(gateway.url, /^https:\/\/127\.0\.0\.1:\d+\/v1$/);
    const client = new OpenAI({
      baseURL: gateway.url,
      apiKey: 'anything',
      maxRetries: 0,
      fetch: fetch as unknown as typeof globalThis.fetch,
      fetchOptions: { dispatcher: trusting } as object,
    });
    const answer = await client.chat.completions.create({ model: 'm', messages: MESSAGES });
    assert.equal(answer.choices[0]?.message.content, 'Hello from upstream.');
    let content = '';
    const events = await client.chat.completions.create({ model: 'm', messages: MESSAGES, stream: true });
    for await (const event of events) content += event.choices[0]?.delta.content ?? '';
    assert.equal(content, 'Hello from upstream.');
  });

  it('is nobody to a client that does not know its authority', async (t) => {
    const { gateway } = await startSecure(t);
    const client = new OpenAI({ baseURL: gateway.url, apiKey: 'anything', maxRetries: 0 });
    await assert.rejects(client.models.list(), APIConnectionError);
  });

  it('survives a client that speaks no TLS', async (t) => {
    const { gateway, trusting } = await startSecure(t);
    await assert.rejects(fetch(gateway.url.replace('https:', 'http:')));
    const response = await fetch(`${gateway.url}/models`, { dispatcher: trusting });
    assert.equal(response.status, 200);
  });

  it('goes on after a reload', async (t) => {
    const { gateway, config, trusting } = await startSecure(t);
    gateway.changeConfig(config);
    assert.deepEqual(await gateway.app.reload(), { ok: true });
    const response = await fetch(`${gateway.url}/models`, { dispatcher: trusting });
    assert.equal(response.status, 200);
  });

  it('cannot be turned off by a reload', async (t) => {
    const { gateway, config } = await startSecure(t);
    gateway.changeConfig({ ...config, server: {} });
    const reloaded = await gateway.app.reload();
    assert.ok(!reloaded.ok);
    assert.match(reloaded.problems.join(), /server\.tls/);
  });
});
