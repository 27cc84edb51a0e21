import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { RawClient, type RawResponse } from '../support/raw-http.ts';
import { chatBody, chatHead, serve } from './helpers.ts';

const key = 'sw-key';
const { gateway, upstream } = await serve(
  { after },
  { auth: 'keys', tenants: [{ id: 'acme', keys: [{ id: 'ci', key }] }] },
);

/** Requests one after the other on one connection; each is answered before the next is sent. */
async function onOneConnection(requests: readonly string[]): Promise<RawResponse[]> {
  const client = await RawClient.connect(gateway.origin);
  const answers: RawResponse[] = [];
  for (const request of requests) {
    await client.send(request);
    answers.push(await client.response());
  }
  client.destroy();
  return answers;
}

function chat(headers: Record<string, string>, body = chatBody()): string {
  return chatHead({ ...headers, 'content-length': body.length }) + body;
}

const authorization = `Bearer ${key}`;

it('a connection serves one request after the other, whatever came of those before', async () => {
  const answers = await onOneConnection([
    chat({ authorization }),
    chat({}),
    chat({ authorization: 'Bearer wrong' }),
    chat({ authorization }, 'not JSON'),
    chat({ authorization }, chatBody({ model: 'unknown' })),
    chat({ authorization, 'content-encoding': 'gzip' }),
    `PUT /v1/usage HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello`,
    'GET /v1/nothing HTTP/1.1\r\nhost: a\r\n\r\n',
    chat({ authorization }),
  ]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 401, 401, 400, 404, 415, 405, 404, 200],
  );
  for (const { headers } of answers) assert.equal(headers['connection'], 'keep-alive');
  assert.equal(upstream.requests.length, 2);
});

for (const [what, head] of [
  ['is very long', chatHead({ 'content-length': 2_000_000 })],
  ['has no length', chatHead({ 'transfer-encoding': 'chunked' })],
  ['may not come at all', chatHead({ 'content-length': 10, expect: '100-continue' })],
] as const) {
  it(`a connection is closed after a refusal where the body that was not read ${what}`, async () => {
    const client = await RawClient.connect(gateway.origin);
    await client.send(head);
    const { status, headers } = await client.response();
    assert.deepEqual([status, headers['connection']], [401, 'close']);
    client.destroy();
  });
}
