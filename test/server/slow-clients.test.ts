import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { chatEvents, head, silence, write } from '../support/upstream.ts';
import { chatBody, chatHead, errorIn, serve } from './helpers.ts';

/** So short that nobody waits for them. */
const limits = { headers: 40, request: 80, checkEvery: 20, unread: 50 };
const { gateway, upstream } = await serve({ after }, {}, { limits });

const late = {
  message: 'The request did not come in time.',
  type: 'invalid_request_error',
  param: null,
  code: 'request_timeout',
};

it('a client that sends its headers too slowly is cut off', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.send('POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n');
  const { status, headers, body } = await client.response();
  assert.equal(status, 408);
  assert.match(headers['x-request-id'] ?? '', /./);
  assert.deepEqual(errorIn(body), late);
  await client.closed;
});

it('a client that connects and sends nothing is cut off', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.closed;
});

it('a client that sends its body too slowly is cut off, and its request is in the log', async () => {
  const body = chatBody();
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ 'content-length': body.length, 'x-request-id': 'slow' }) + body.slice(0, 20));
  const { status, headers, body: answer } = await client.response();
  assert.equal(status, 408);
  assert.equal(headers['x-request-id'], 'slow');
  assert.deepEqual(errorIn(answer), late);
  await client.closed;
  const lines = await gateway.ended(1);
  assert.deepEqual(
    lines.map(({ id, status, outcome, tries }) => ({ id, status, outcome, tries })),
    [{ id: 'slow', status: 408, outcome: 'refused', tries: [] }],
  );
});

it('a client that leaves in the middle of its body is in the log as one that left', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.send(`${chatHead({ 'content-length': 1000, 'x-request-id': 'left' })}{"model":`);
  client.destroy();
  const line = (await gateway.ended(2))[1];
  assert.deepEqual([line?.id, line?.status, line?.outcome], ['left', 499, 'client_gone']);
});

it('a client that does not read its stream is cut off, and the upstream request with it', async () => {
  const event = `data: ${JSON.stringify(chatEvents({ content: ['x'.repeat(60_000)] })[1])}\n\n`;
  upstream.enqueue([
    head(200, { 'content-type': 'text/event-stream', connection: 'close' }),
    async (exchange) => {
      for (;;) await exchange.write(event);
    },
  ]);
  const body = chatBody({ stream: true });
  const client = await RawClient.connect(gateway.origin);
  client.pause();
  await client.send(chatHead({ 'content-length': body.length }) + body);
  await (await upstream.nextRequest()).closed;
  const line = (await gateway.ended(3))[2];
  assert.deepEqual([line?.status, line?.outcome], [200, 'client_gone']);
  client.destroy();
});

it('a client that does not read its answer is cut off', async () => {
  const answer = { choices: [{ message: { content: 'x'.repeat(32_000_000) } }] };
  upstream.enqueue([
    head(200, { 'content-type': 'application/json', connection: 'close' }),
    write(JSON.stringify(answer)),
    (exchange) => exchange.end('fin'),
  ]);
  const body = chatBody();
  const client = await RawClient.connect(gateway.origin);
  client.pause();
  await client.send(chatHead({ 'content-length': body.length }) + body);
  await gateway.ended(4);
  await untilNothingIsUnderWay();
  client.resume();
  const got = await client.rest();
  assert.ok(got.length < 32_000_000, 'the whole answer came');
});

it('a quiet upstream is no slow client', async () => {
  upstream.enqueue(silence());
  const body = chatBody({ stream: true });
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ 'content-length': body.length }) + body);
  const request = await upstream.nextRequest();
  // Long enough for everything that cuts off slow clients to have looked: others are cut off meanwhile.
  for (let i = 0; i < 3; i++) await (await RawClient.connect(gateway.origin)).closed;
  assert.equal(request.aborted, false);
  client.destroy();
  await request.closed;
});

/** Other clients' requests come and go meanwhile, so that nobody sleeps. */
async function untilNothingIsUnderWay(): Promise<void> {
  while ((await gateway.metric('spillway_in_flight')) !== 0);
}
