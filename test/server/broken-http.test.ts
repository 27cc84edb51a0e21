import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { exchangeRaw, RawClient } from '../support/raw-http.ts';
import { chatAnswer, chatStream, Gate, pauseUntil, script } from '../support/upstream.ts';
import { chatBody, chatHead, errorIn, serve } from './helpers.ts';

const { gateway, upstream } = await serve({ after });

const notHttp = {
  message: 'This is not valid HTTP.',
  type: 'invalid_request_error',
  param: null,
  code: 'invalid_value',
};

describe('bytes that are no request', () => {
  const cases: Record<string, string> = {
    'are no HTTP at all': 'hello\r\n\r\n',
    'are the beginning of TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    'have a header without a name': 'GET /v1/models HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n',
    'have a header with a null in it': 'GET /v1/models HTTP/1.1\r\nhost: a\0b\r\n\r\n',
    'have a version that there is not': 'GET /v1/models HTTP/3.7\r\nhost: a\r\n\r\n',
    'have a method that there is not': 'FETCH /v1/models HTTP/1.1\r\nhost: a\r\n\r\n',
    'give their length twice': chatHead({ 'content-length': 5, 'transfer-encoding': 'chunked' }),
    'give a length that is no number': chatHead({ 'content-length': 'long' }),
    'give a negative length': chatHead({ 'content-length': -5 }),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    it(`are refused where they ${what}`, async () => {
      const client = await RawClient.connect(gateway.origin);
      await client.send(Buffer.from(bytes, 'latin1'));
      const { status, headers, body } = await client.response();
      assert.equal(status, 400);
      assert.equal(headers['content-type'], 'application/json');
      assert.match(headers['x-request-id'] ?? '', /./);
      assert.equal(headers['connection'], 'close');
      assert.deepEqual(errorIn(body), notHttp);
      await client.closed;
    });
  }

  it('are refused where a chunk of the body has no size', async () => {
    const client = await RawClient.connect(gateway.origin);
    await client.send(`${chatHead({ 'transfer-encoding': 'chunked', 'x-request-id': 'mine' })}hello\r\n`);
    const { status, headers, body } = await client.response();
    assert.equal(status, 400);
    assert.equal(headers['x-request-id'], 'mine');
    assert.deepEqual(errorIn(body), notHttp);
    await client.closed;
    const [line] = await gateway.ended(1);
    assert.equal(line?.id, 'mine');
    assert.equal(line?.status, 400);
  });
});

it('a request without a Host is refused', async () => {
  const response = await exchangeRaw(gateway.origin, 'GET /v1/models HTTP/1.1\r\n\r\n');
  assert.equal(response.status, 400);
  assert.match(response.headers['x-request-id'] ?? '', /./);
  assert.match(errorIn(response.body).message, /Host/);
});

it('HTTP/1.0 needs no Host', async () => {
  const response = await exchangeRaw(gateway.origin, 'GET /v1/models HTTP/1.0\r\n\r\n');
  assert.equal(response.status, 200);
});

it('headers that are too large are refused with 431', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.send(`GET /v1/models HTTP/1.1\r\nhost: a\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`);
  const { status, headers, body } = await client.response();
  assert.equal(status, 431);
  assert.match(headers['x-request-id'] ?? '', /./);
  assert.deepEqual(errorIn(body), {
    message: 'The headers are too large.',
    type: 'invalid_request_error',
    param: null,
    code: 'headers_too_large',
  });
  await client.closed;
});

it('a client that keeps its end of such a connection open does not keep ours', async (t) => {
  const { gateway } = await serve(t, {}, { limits: { linger: 30 } });
  for (const origin of [gateway.origin, gateway.admin]) {
    const { hostname, port } = new URL(origin);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    socket.resume().on('error', () => {});
    t.after(() => void socket.destroy());
    await once(socket, 'connect');
    socket.write('hello\r\n\r\n');
    await once(socket, 'end');
  }
  // Which waits for every connection to end.
  await gateway.app.drain();
});

it('what comes after a request does not get into its answer', async () => {
  const gate = new Gate();
  upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
  const body = chatBody({ stream: true });
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ 'content-length': Buffer.byteLength(body) }) + body);
  await client.waitFor('"Hel"');
  await client.send('this is no second request\r\n\r\n');
  const rest = await client.rest();
  assert.doesNotMatch(rest, /HTTP\/1\.1|not valid/);
  await (await upstream.nextRequest()).closed;
  gate.open();
});

describe('a body that is longer than was announced', () => {
  it('is taken for what was announced, and its answer is the last on the connection', async () => {
    const body = chatBody();
    const client = await RawClient.connect(gateway.origin);
    await client.send(`${chatHead({ 'content-length': body.length })}${body}and some more`);
    const { status, headers } = await client.response();
    assert.equal(status, 200);
    assert.equal(headers['connection'], 'close');
    assert.equal(await client.rest(), '');
  });

  it('is answered though the rest comes later', async () => {
    const gate = new Gate();
    upstream.enqueue(script(pauseUntil(gate), chatAnswer()));
    const body = chatBody();
    const client = await RawClient.connect(gateway.origin);
    await client.send(`${chatHead({ 'content-length': body.length })}${body}`);
    await upstream.nextRequest();
    for (const more of ['and ', 'some more']) await client.send(more);
    gate.open();
    assert.equal((await client.response()).status, 200);
    assert.equal(await client.rest(), '');
  });

  it('is refused in words where it is no JSON up to there', async () => {
    const body = chatBody({ messages: [{ role: 'user', content: 'é'.repeat(20) }] });
    const client = await RawClient.connect(gateway.origin);
    await client.send(`${chatHead({ 'content-length': body.length })}${body}`);
    const answer = await client.response();
    assert.equal(answer.status, 400);
    assert.match(errorIn(answer.body).message, /JSON/);
    assert.equal(await client.rest(), '');
  });
});

it('two requests sent at once on one connection are answered one after the other', async () => {
  const client = await RawClient.connect(gateway.origin);
  const body = chatBody();
  const head = (id: string) => chatHead({ 'content-length': body.length, 'x-request-id': id });
  await client.send(`${head('one')}${body}${head('two')}${body}`);
  for (const id of ['one', 'two']) {
    const { status, headers } = await client.response();
    assert.equal(status, 200);
    assert.equal(headers['x-request-id'], id);
  }
  client.destroy();
});

it('nothing of what was no request was sent upstream, and nothing was a mistake of the gateway', () => {
  assert.equal(upstream.requests.length, 5);
  assert.deepEqual(
    gateway.logs.filter(({ level }) => level !== 'info' && level !== 'debug'),
    [],
  );
});
