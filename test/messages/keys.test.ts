import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

describe('a key in the dialect of messages', () => {
  const asked = { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] };

  const cases: [string, Record<string, string>, number][] = [
    ['in its own header', { 'x-api-key': 'sw-good-key' }, 200],
    ['in the header that all know', { authorization: 'Bearer sw-good-key' }, 200],
    ['in its own header, beside another', { 'x-api-key': 'sw-good-key', authorization: 'Bearer other' }, 200],
    ['in its own header, beside a good one', { 'x-api-key': 'x', authorization: 'Bearer sw-good-key' }, 401],
    ['in an empty header, beside a good one', { 'x-api-key': '', authorization: 'Bearer sw-good-key' }, 200],
    ['in no header', {}, 401],
  ];
  for (const [where, headers, status] of cases) {
    it(`${where} is answered ${status}`, async (t) => {
      const upstream = await startUpstream();
      t.after(() => upstream.close());
      const gateway = await startGateway({
        auth: 'keys',
        tenants: [{ id: 'a', keys: [{ id: 'k', key: 'sw-good-key' }] }],
        providers: { p: { adapter: 'vllm', base_url: upstream.url } },
        models: { m: { provider: 'p', model: 'up' } },
      });
      t.after(() => gateway.close());
      for (const path of ['/messages', '/messages/count_tokens']) {
        const response = await fetch(gateway.url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(asked),
        });
        assert.equal(response.status, status, path);
        const body = (await response.json()) as { type: string; error?: { type: string } };
        if (status === 401)
          assert.deepEqual([body.type, body.error?.type], ['error', 'authentication_error']);
      }
      for (const sent of upstream.requests) {
        assert.equal(sent.headers['x-api-key'], undefined);
        assert.doesNotMatch(JSON.stringify(sent.headers), /sw-good-key/);
      }
    });
  }
});
