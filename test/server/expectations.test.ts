import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { chatBody, chatHead, errorIn, serve } from './helpers.ts';

const { gateway, upstream } = await serve(
  { after },
  {
    auth: 'keys',
    tenants: [{ id: 'acme', keys: [{ id: 'ci', key: 'sw-key' }] }],
    server: { max_body: '1mb' },
  },
);
const authorization = 'Bearer sw-key';

it('a client that asks first is told to go on, and served', async () => {
  const body = chatBody();
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ authorization, expect: '100-continue', 'content-length': body.length }));
  assert.equal((await client.response()).status, 100);
  await client.send(body);
  assert.equal((await client.response()).status, 200);
  client.destroy();
});

it('a client that asks first learns of a wrong key without sending its body', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.send(
    chatHead({ authorization: 'Bearer wrong', expect: '100-continue', 'content-length': 1000 }),
  );
  const { status, body } = await client.response();
  assert.equal(status, 401);
  assert.equal(errorIn(body).code, 'invalid_api_key');
  client.destroy();
});

it('a client that asks first learns that its body is too large without sending it', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ authorization, expect: '100-continue', 'content-length': 2_000_000 }));
  assert.equal((await client.response()).status, 413);
  client.destroy();
});

it('an expectation that nobody knows is none', async () => {
  const body = chatBody();
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ authorization, expect: 'kindness', 'content-length': body.length }) + body);
  assert.equal((await client.response()).status, 200);
  client.destroy();
});

it('an upgrade to another protocol is not taken up', async () => {
  const body = chatBody();
  const client = await RawClient.connect(gateway.origin);
  const headers = {
    authorization,
    connection: 'upgrade',
    upgrade: 'websocket',
    'content-length': body.length,
  };
  await client.send(chatHead(headers) + body);
  assert.equal((await client.response()).status, 200);
  client.destroy();
});

for (const coding of ['gzip', 'br', 'GZIP', 'gzip, identity']) {
  it(`a body packed with ${coding} is refused with words that say so`, async () => {
    const client = await RawClient.connect(gateway.origin);
    const headers = { authorization, 'content-encoding': coding, 'content-length': 4 };
    await client.send(`${chatHead(headers)}\x1f\x8b\b\0`);
    const { status, body } = await client.response();
    assert.equal(status, 415);
    const error = errorIn(body);
    assert.equal(error.code, 'unsupported_media_type');
    assert.match(error.message, /without content-encoding/);
    client.destroy();
  });
}

it('a body that says it is not packed is served', async () => {
  const response = await gateway.chat({}, { authorization, 'content-encoding': 'identity' });
  assert.equal(response.status, 200);
});

it('a body is served whatever its content-type says', async () => {
  for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'nonsense']) {
    const response = await gateway.chat({}, { authorization, 'content-type': type });
    assert.equal(response.status, 200, type);
    assert.equal((await upstream.waitFor(1)).at(-1)?.headers['content-type'], 'application/json');
  }
});
