import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import fc from 'fast-check';
import { exchangeRaw, RawClient } from '../support/raw-http.ts';
import { chatBody, errorIn, serve } from './helpers.ts';

// Conditions that look into the request, so that what is in it is read. As text: `then` in an object is another thing to a linter.
const CONDITIONS = JSON.parse(`[
  { "query": { "request.input_tokens": { "$gt": 100000000 } }, "then": "one" },
  { "query": { "metadata.plan": { "$regex": "^pro" } }, "then": "one" },
  { "query": { "params.temperature": { "$in": [1, "hot", null] } }, "then": "one" }
]`);
const { gateway } = await serve(
  { after },
  {
    models: {
      m: {
        strategy: { mode: 'conditional', conditions: CONDITIONS, default: 'one' },
        targets: [{ name: 'one', provider: 'a', model: 'up' }],
      },
    },
  },
);

async function post(body: Uint8Array | string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(`${gateway.url}/chat/completions`, {
    method: 'POST',
    headers,
    body: body as string,
  });
  const text = await response.text();
  assert.ok(response.status < 500, `${response.status}: ${text}`);
  assert.match(response.headers.get('x-request-id') ?? '', /./);
  if (response.status >= 400) errorIn(text);
  return response.status;
}

it('random bytes as a body are refused, and never a fault of the gateway', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3000 }), async (bytes) => {
      assert.equal(await post(bytes), 400);
    }),
    { numRuns: 100 },
  );
});

it('a request with random bytes of it changed is served or refused', async () => {
  const whole = Buffer.from(
    chatBody({ metadata: { plan: 'a' }, temperature: 1, tools: [{ type: 'function' }] }),
  );
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const bytes = Buffer.from(whole);
      for (const { at, byte } of changes) bytes[at] = byte;
      await post(bytes);
    }),
    { numRuns: 200 },
  );
});

it('any JSON in any place of a request is served or refused', async () => {
  const anything = fc.jsonValue({ depthSize: 'small' });
  const key = fc.oneof(
    fc.constantFrom('model', 'messages', 'stream', 'stream_options', 'n', 'metadata', 'tools', '__proto__'),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, anything), fc.jsonValue(), async (fields, metadata) => {
      await post(JSON.stringify({ model: 'm', messages: [{}], ...fields }), {
        'x-spillway-metadata': encodeURIComponent(JSON.stringify(metadata)),
      });
      await post(`{"messages":[{}],"model":"m",${JSON.stringify(fields).slice(1, -1) || '"x":1'}}`);
    }),
    { numRuns: 150 },
  );
});

it('a list of half a million things is no fault of the gateway', async () => {
  assert.equal(await post(chatBody({ messages: [{ content: new Array(240_000).fill(1) }] })), 200);
  assert.equal(await post(chatBody({ messages: new Array(240_000).fill({}) })), 200);
});

it('random bytes in place of HTTP get an answer or the end of the connection', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
      const client = await RawClient.connect(gateway.origin);
      await client.send(bytes);
      // Whatever it was, this makes it a request that is none.
      await client.send('\r\n\r\n: \0\r\n\r\n');
      await client.rest();
    }),
    { numRuns: 50 },
  );
  assert.equal((await exchangeRaw(gateway.origin, 'GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n')).status, 200);
});

it('nothing was logged as a mistake of the gateway', () => {
  assert.deepEqual(
    gateway.logs.filter(({ level }) => level === 'error' || level === 'fatal'),
    [],
  );
  assert.deepEqual(
    gateway.requests.filter(({ status }) => status >= 500),
    [],
  );
});
