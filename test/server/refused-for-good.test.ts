/** SDKs look at `x-should-retry` before they look at a status; agents try a wrong key again for minutes where it is missing. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const KEY = 'sk-of-the-client';
const ASK = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] };

interface Refused {
  status: number;
  path?: string;
  method?: string;
  key?: string;
  body?: string;
}

const REFUSED: Record<string, Refused> = {
  'a key that is not known': { status: 401, key: 'sk-of-nobody' },
  'a model that the tenant may not use': { status: 403, body: JSON.stringify({ ...ASK, model: 'other' }) },
  'a model that is not there': { status: 404, body: JSON.stringify({ ...ASK, model: 'none' }) },
  'a path that is not there': { status: 404, path: '/v2/messages' },
  'a method that the path does not have': { status: 405, method: 'PUT' },
  'a body that is no JSON': { status: 400, body: '{' },
  'a body without a model': { status: 400, body: '{"messages":[]}' },
};

describe('a client is told not to send again', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startGateway({
      providers: { a: { adapter: 'openai', api_key: 'sk-a' } },
      models: { m: { provider: 'a', model: 'up' }, other: { provider: 'a', model: 'up' } },
      auth: 'keys',
      tenants: [{ id: 'acme', models: ['m'], keys: [{ id: 'k', key: KEY }] }],
    });
  });
  after(() => gateway.close());

  for (const path of ['/v1/messages', '/v1/chat/completions']) {
    for (const [name, refused] of Object.entries(REFUSED)) {
      it(`${name}: ${path}`, async () => {
        const response = await fetch(`${gateway.origin}${refused.path ?? path}`, {
          method: refused.method ?? 'POST',
          headers: { authorization: `Bearer ${refused.key ?? KEY}`, 'content-type': 'application/json' },
          body: refused.body ?? JSON.stringify(ASK),
        });
        assert.equal(response.status, refused.status, await response.text());
        assert.equal(response.headers.get('x-should-retry'), 'false');
      });
    }
  }
});
