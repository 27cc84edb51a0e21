import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exchangeRaw, RawClient } from '../support/raw-http.ts';
import { errorIn, serve, shortRefusalOf } from './helpers.ts';

const key = 'sw-key';
const { gateway, upstream } = await serve(
  { after },
  { auth: 'keys', tenants: [{ id: 'acme', keys: [{ id: 'ci', key }] }] },
);

const refused = { type: 'invalid_request_error', param: null };

describe('a path that leads nowhere', () => {
  for (const path of [
    '/',
    '/v1',
    '/v1/audio/speech',
    '/v1/chat',
    '/v1/chat/completions/x',
    '/livez',
    '/metrics',
  ]) {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
      it(`is 404 for ${method} ${path}, without a key`, async () => {
        const response = await fetch(`${gateway.origin}${path}`, { method });
        assert.deepEqual(await shortRefusalOf(response), { ...refused, status: 404, code: 'unknown_url' });
      });
    }
  }

  it('says where it is where the base URL of an SDK was wrong', async () => {
    for (const [path, meant] of [
      ['/chat/completions', '/v1/chat/completions'],
      ['/v1/v1/messages', '/v1/messages'],
      ['/v1/v1/messages/count_tokens', '/v1/messages/count_tokens'],
      ['/v1//embeddings', '/v1/embeddings'],
    ]) {
      const response = await fetch(`${gateway.origin}${path}`, { method: 'POST' });
      assert.equal(response.status, 404);
      const { message } = errorIn(await response.text());
      assert.ok(message.includes(`It is at ${meant}: `), message);
    }
  });

  it('says what is served where it is none of that', async () => {
    for (const path of ['/v1/files', '/v1/completions', '/v1/messages/batches', '/v1/responses/resp_1']) {
      const { message } = errorIn(await (await fetch(`${gateway.origin}${path}`)).text());
      assert.match(message, /nothing at GET \/v1\/\S+\. Chat completions, responses, messages, embeddings/);
    }
  });

  it('is 404 before a body is read', async () => {
    const client = await RawClient.connect(gateway.origin);
    await client.send('POST /v2/chat HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n');
    assert.equal((await client.response()).status, 404);
    client.destroy();
  });

  it('is 400 where it is no path', async () => {
    const { status, headers, body } = await exchangeRaw(
      gateway.origin,
      'GET /v1/models/%zz HTTP/1.1\r\nhost: a\r\n\r\n',
    );
    assert.equal(status, 400);
    assert.match(headers['x-request-id'] ?? '', /./);
    assert.equal(errorIn(body).code, 'invalid_value');
  });

  it('does not come back with its query, which may hold a secret', async () => {
    const response = await fetch(`${gateway.origin}/v1/nothing?api_key=${key}`);
    assert.doesNotMatch(await response.text(), /sw-key/);
  });
});

describe('a method that is not for that path', () => {
  const cases: [method: string, path: string, allow: string][] = [
    ['GET', '/v1/chat/completions', 'POST'],
    ['HEAD', '/v1/chat/completions', 'POST'],
    ['OPTIONS', '/v1/chat/completions', 'POST'],
    ['PUT', '/v1/chat/completions?x=1', 'POST'],
    ['PROPFIND', '/v1/chat/completions', 'POST'],
    ['POST', '/v1/models', 'GET'],
    ['DELETE', '/v1/models/m', 'GET'],
    ['DELETE', '/v1/models/openai/gpt', 'GET'],
    ['POST', '/v1/usage', 'GET'],
    ['PATCH', '/v1/usage', 'GET'],
  ];
  for (const [method, path, allow] of cases) {
    it(`is 405 for ${method} ${path}, with what is allowed`, async () => {
      const response = await fetch(`${gateway.origin}${path}`, { method });
      assert.equal(response.headers.get('allow'), allow);
      if (method === 'HEAD') assert.equal(response.status, 405);
      else {
        const expected = { ...refused, status: 405, code: 'method_not_allowed' };
        assert.deepEqual(await shortRefusalOf(response), expected);
      }
    });
  }

  it('is 405 before a body is read', async () => {
    const client = await RawClient.connect(gateway.origin);
    await client.send('PUT /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n');
    assert.equal((await client.response()).status, 405);
    client.destroy();
  });
});

it('HEAD is GET without the body', async () => {
  const headers = { authorization: `Bearer ${key}` };
  for (const path of ['/v1/models', '/v1/models/m', '/v1/usage']) {
    const response = await fetch(`${gateway.origin}${path}`, { method: 'HEAD', headers });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), '');
  }
});

it('none of this was sent upstream', () => {
  assert.equal(upstream.requests.length, 0);
});

describe('a path in its absolute form, in which proxies ask', () => {
  it('is the same path', async () => {
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hello?' }] });
    const { status, body: text } = await exchangeRaw(
      gateway.origin,
      [
        'POST http://relay.example/v1/chat/completions?x=1 HTTP/1.1',
        'host: relay.example',
        `authorization: Bearer ${key}`,
        `content-length: ${body.length}`,
        '',
        body,
      ].join('\r\n'),
    );
    assert.equal(status, 200, text);
  });

  it('is named without its host where nothing is there', async () => {
    const { status, body } = await exchangeRaw(
      gateway.origin,
      'POST http://relay.example/v1/nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n',
    );
    assert.equal(status, 404);
    assert.match(errorIn(body).message, /POST \/v1\/nothing\./);
  });
});
