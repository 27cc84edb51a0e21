import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { exchangeRaw } from '../support/raw-http.ts';
import { apiError, chatAnswer } from '../support/upstream.ts';
import { serve } from './helpers.ts';

const { gateway, upstream } = await serve({ after });

for (const id of ['a', 'A-Za_z.0-9', 'x'.repeat(128)]) {
  it(`a client's own id of ${id.length} characters is kept, in the answer and in the log`, async () => {
    const before = gateway.requests.length;
    const response = await gateway.chat({}, { 'x-request-id': id });
    assert.equal(response.headers.get('x-request-id'), id);
    assert.equal((await gateway.ended(before + 1))[before]?.id, id);
  });
}

for (const id of ['', 'x'.repeat(129), 'with space', 'schräg', 'a/b', 'a,b', '"a"']) {
  it(`a client's id ${JSON.stringify(id.slice(0, 12))} of ${id.length} characters is replaced`, async () => {
    const head = `GET /v1/models HTTP/1.1\r\nhost: a\r\nx-request-id: ${id}\r\n\r\n`;
    const { headers } = await exchangeRaw(gateway.origin, Buffer.from(head, 'latin1'));
    assert.match(headers['x-request-id'] ?? '', /^[a-z0-9]{20,}$/);
  });
}

it('two ids of a client are none', async () => {
  const head = 'GET /v1/models HTTP/1.1\r\nhost: a\r\nx-request-id: one\r\nx-request-id: two\r\n\r\n';
  const { headers } = await exchangeRaw(gateway.origin, head);
  assert.match(headers['x-request-id'] ?? '', /^[a-z0-9]{20,}$/);
});

it('each request has an id of its own, and so has each try upstream', async () => {
  const before = upstream.requests.length;
  const answers = [
    await gateway.chat(),
    await gateway.chat(),
    await gateway.chat({}, { 'x-request-id': 'me' }),
  ];
  const ids = answers.map(({ headers }) => headers.get('x-request-id'));
  assert.equal(new Set(ids).size, 3);
  const sent = upstream.requests.slice(before).map(({ headers }) => headers['x-request-id']);
  assert.equal(new Set(sent).size, 3);
  assert.ok(!sent.includes('me'), 'an id of the client went upstream');
});

it("an upstream's id does not take the place of ours", async () => {
  upstream.enqueue(chatAnswer({ headers: { 'x-request-id': 'theirs' } }));
  upstream.enqueue(apiError(400, {}, { 'x-request-id': 'theirs' }));
  for (const status of [200, 400]) {
    const response = await gateway.chat({}, { 'x-request-id': 'mine' });
    assert.equal(response.status, status);
    assert.equal(response.headers.get('x-request-id'), 'mine');
  }
});

it('every path has one, that of the operators too', async () => {
  for (const path of ['/v1/models', '/v1/models/m', '/v1/usage', '/nothing']) {
    const response = await fetch(gateway.origin + path, { headers: { 'x-request-id': 'mine' } });
    assert.equal(response.headers.get('x-request-id'), 'mine', path);
  }
  for (const path of ['/livez', '/readyz', '/metrics', '/admin/upstreams', '/nothing']) {
    const response = await fetch(gateway.admin + path, { headers: { 'x-request-id': 'mine' } });
    assert.equal(response.headers.get('x-request-id'), 'mine', path);
    assert.match((await fetch(gateway.admin + path)).headers.get('x-request-id') ?? '', /^[a-z0-9]{20,}$/);
  }
});
