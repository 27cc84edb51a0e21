import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, it } from 'node:test';
import OpenAI, { type APIError } from 'openai';
import { ManualClock } from '../support/manual-clock.ts';
import { RawClient } from '../support/raw-http.ts';
import { chatBody, chatHead, errorIn, serve } from './helpers.ts';

const MAX = 1024 * 1024;
const { gateway, upstream } = await serve({ after }, { server: { max_body: '1mb' } });

const tooLarge = {
  message: `The body is larger than the ${MAX} bytes that are allowed here.`,
  type: 'invalid_request_error',
  param: null,
  code: 'request_too_large',
};

function bodyOf(bytes: number): string {
  const empty = chatBody({ messages: [{ role: 'user', content: '' }] });
  return chatBody({ messages: [{ role: 'user', content: 'x'.repeat(bytes - empty.length) }] });
}

it('a body of just the size that is allowed is served', async () => {
  const body = bodyOf(MAX);
  const response = await fetch(`${gateway.url}/chat/completions`, { method: 'POST', body });
  assert.equal(response.status, 200);
  assert.equal((await upstream.nextRequest()).body.length, MAX - 1 + '"up"'.length - '"m"'.length + 1);
});

it('one that says it is larger is refused before it is sent, and the connection is closed', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ 'content-length': MAX + 1 }));
  const { status, headers, body } = await client.response();
  assert.equal(status, 413);
  assert.equal(headers['connection'], 'close');
  assert.match(headers['x-request-id'] ?? '', /./);
  assert.deepEqual(errorIn(body), tooLarge);
  client.destroy();
});

it('one that turns out to be larger, chunk by chunk, is refused as soon as it is', async () => {
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ 'transfer-encoding': 'chunked' }));
  const chunk = `${(65_536).toString(16)}\r\n${' '.repeat(65_536)}\r\n`;
  for (let i = 0; i < 17; i++) await client.send(chunk);
  const { status, headers, body } = await client.response();
  assert.equal(status, 413);
  assert.equal(headers['connection'], 'close');
  assert.deepEqual(errorIn(body), tooLarge);
  // What the client still has on its way is read over, so that it comes to read its answer.
  for (let i = 0; i < 50; i++) await client.send(chunk);
  await client.send('0\r\n\r\n');
  await client.closed;
});

it('a client that does not stop sending is cut off', async (t) => {
  const clock = new ManualClock();
  const { gateway } = await serve(t, { server: { max_body: '1kb' } }, { clock });
  const client = await RawClient.connect(gateway.origin);
  await client.send(chatHead({ 'content-length': 10_000 }));
  assert.equal((await client.response()).status, 413);
  assert.equal(await gateway.metric('spillway_in_flight'), 0, 'it counts as a request under way');
  clock.advance(4999);
  await client.send('still here');
  clock.advance(1);
  await client.closed;
});

it('a library that sends in chunks, and the SDK, get to read why', async () => {
  const status = await new Promise((resolve, reject) => {
    const sent = request(`${gateway.url}/chat/completions`, { method: 'POST' }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on('error', reject);
    let left = 300;
    const more = () => {
      while (left-- > 0) if (!sent.write(' '.repeat(65_536))) return sent.once('drain', more);
      return sent.end();
    };
    more();
  });
  assert.equal(status, 413);

  const openai = new OpenAI({ baseURL: gateway.url, apiKey: 'anything' });
  const before = gateway.requests.length;
  await assert.rejects(
    openai.chat.completions.create(JSON.parse(bodyOf(20 * MAX))),
    (error: APIError) => error.status === 413 && error.code === 'request_too_large',
  );
  assert.equal(gateway.requests.length, before + 1, 'the SDK tried again');
});

it('none of them was sent upstream, and each is in the log once', () => {
  assert.equal(upstream.requests.length, 1);
  assert.deepEqual(
    gateway.requests.map(({ status }) => status),
    [200, 413, 413, 413, 413],
  );
});
