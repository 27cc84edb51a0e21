import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HOST_PRESETS, type HostName } from '../../src/providers/presets.ts';
import { openScene } from './helpers.ts';

const BODY = '{"model":"m","messages":[{"role":"user","content":"hello"}],"stream":true}';
const KEY = 'sk-of-the-provider-a';

describe('an adapter of the OpenAI dialect', () => {
  for (const [adapter, preset] of Object.entries(HOST_PRESETS)) {
    it(`asks /chat/completions with its key, streams and all: ${adapter}`, async (t) => {
      const { passOn } = await openScene(t, { provider: { adapter } });
      for (const stream of [true, false]) {
        const request = await passOn(BODY.replace('true', String(stream)));
        assert.equal(request.method, 'POST');
        assert.equal(request.path, '/v1/chat/completions');
        assert.equal(request.headers['authorization'], `Bearer ${KEY}`);
        const { stream_options: options } = request.json();
        const asks = stream && (preset.quirks.streamUsage as string) === 'ask';
        assert.deepEqual(options, asks ? { include_usage: true } : undefined);
      }
    });

    it(`has an address of its own that a path can follow: ${adapter}`, () => {
      assert.equal(new URL(preset.baseUrl).href.replace(/\/$/, ''), preset.baseUrl);
      assert.equal(preset.baseUrl.startsWith('https://'), preset.needsKey);
    });
  }

  it('mistral alone sends no stream_options', () => {
    const names = Object.keys(HOST_PRESETS) as HostName[];
    assert.deepEqual(
      names.filter((name) => HOST_PRESETS[name].quirks.streamUsage === 'always'),
      ['mistral'],
    );
  });

  for (const adapter of ['ollama', 'vllm']) {
    it(`sends no authorization where it has no key: ${adapter}`, async (t) => {
      const { passOn } = await openScene(t, { provider: { adapter, api_key: '' } });
      const request = await passOn(BODY, { authorization: 'Bearer of-the-client' });
      assert.equal(request.headers['authorization'], undefined);
    });
  }
});

describe('a base_url', () => {
  const paths: Record<string, string> = {
    '': '/chat/completions',
    '/': '/chat/completions',
    '/v1': '/v1/chat/completions',
    '/v1/': '/v1/chat/completions',
    '/v1///': '/v1/chat/completions',
    '/proxy/openai/v1': '/proxy/openai/v1/chat/completions',
    '/a%2Fb/Größe/': '/a%2Fb/Gr%C3%B6%C3%9Fe/chat/completions',
    '/a b': '/a%20b/chat/completions',
  };
  for (const [path, expected] of Object.entries(paths)) {
    it(`that ends in ${JSON.stringify(path)} leads to ${expected}`, async (t) => {
      const { upstream } = await openScene(t);
      const base_url = `http://127.0.0.1:${upstream.port}${path}`;
      const { post } = await openScene(t, { provider: { base_url } });
      assert.equal((await post(BODY)).status, 200);
      const [request] = upstream.requests;
      assert.equal(request?.path, expected);
      assert.equal(request?.headers['host'], `127.0.0.1:${upstream.port}`);
    });
  }
});
