import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exchangeRaw } from '../support/raw-http.ts';
import { chatRequest } from '../support/rig.ts';
import { apiError, type UpstreamRequest } from '../support/upstream.ts';
import { openScene } from './helpers.ts';

const BODY = '{"model":"m","messages":[{"role":"user","content":"hello"}]}';

/** What a client may send besides, none of which is the upstream's business. */
const PRIVATE = {
  authorization: 'Bearer secret-of-the-client',
  'proxy-authorization': 'Basic c2VjcmV0',
  cookie: 'session=secret',
  'api-key': 'secret-of-the-client',
  'x-api-key': 'secret-of-the-client',
  'x-goog-api-key': 'secret-of-the-client',
  'openai-organization': 'org-client',
  'openai-project': 'proj-client',
  'openai-beta': 'assistants=v2',
  'x-stainless-lang': 'js',
  'x-stainless-retry-count': '2',
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-proto': 'https',
  'x-real-ip': '10.0.0.1',
  forwarded: 'for=10.0.0.1',
  via: '1.1 proxy',
  origin: 'https://app.example',
  referer: 'https://app.example/page',
  'user-agent': 'OpenAI/JS 7',
  'accept-language': 'de',
  'accept-encoding': 'gzip, br',
  'x-spillway-metadata': '{"team":"x"}',
  'x-request-id': 'the-clients-own',
  'idempotency-key': 'k1',
  'cache-control': 'no-cache',
  baggage: 'user=secret',
  dnt: '1',
  te: 'trailers',
  pragma: 'no-cache',
};

/** Headers that came, as `name: value` in order of name; the id of the try is checked and left out. */
function headersOf(request: UpstreamRequest | undefined): string[] {
  assert.ok(request);
  const id = request.headers['x-request-id'] ?? '';
  assert.match(id, /^[A-Za-z0-9._-]{10,128}$/);
  return request.rawHeaders
    .filter(([name]) => name.toLowerCase() !== 'x-request-id')
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .sort();
}

describe('what reaches an upstream of a client’s headers', () => {
  const usual = ({ port }: { port: number }, stream: boolean, length: number) => [
    'accept-encoding: identity',
    `accept: ${stream ? 'text/event-stream' : 'application/json'}`,
    'authorization: Bearer sk-of-the-provider-a',
    'connection: keep-alive',
    `content-length: ${length}`,
    'content-type: application/json',
    `host: 127.0.0.1:${port}`,
    'user-agent: spillway',
  ];

  it('is nothing that would tell who it is', async (t) => {
    const { gateway, upstream } = await openScene(t);
    for (const stream of [false, true]) {
      const headers = { ...PRIVATE, 'idempotency-key': `k-${stream}`, connection: 'close' };
      await exchangeRaw(gateway.origin, chatRequest({ stream }, headers));
      const request = upstream.requests.at(-1);
      assert.deepEqual(headersOf(request), usual(upstream, stream, request?.body.length ?? 0));
    }
  });

  it('is what it accepts, its trace, and nothing else', async (t) => {
    const { passOn, upstream } = await openScene(t);
    const passed = {
      accept: 'application/json, text/plain;q=0.5',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'vendor=value',
    };
    const request = await passOn(BODY, passed);
    const expected = usual(upstream, false, request.body.length).filter(
      (line) => !line.startsWith('accept:'),
    );
    assert.deepEqual(
      headersOf(request),
      [...expected, ...Object.entries(passed).map((pair) => pair.join(': '))].sort(),
    );
  });

  it('is not what it says of its body, which is JSON', async (t) => {
    const { passOn } = await openScene(t);
    for (const type of [
      'text/plain',
      'application/json; charset=utf-8',
      'application/x-www-form-urlencoded',
    ]) {
      assert.equal(
        (await passOn(BODY, { 'content-type': type })).headers['content-type'],
        'application/json',
      );
    }
  });

  it('is what forward_headers lists, in whatever letters', async (t) => {
    const { passOn } = await openScene(t, {
      server: { forward_headers: ['X-Team', 'openai-beta', 'Baggage'] },
    });
    const { headers } = await passOn(BODY, { 'x-TEAM': 'blue', 'OpenAI-Beta': 'b', 'x-other': 'c' });
    assert.equal(headers['x-team'], 'blue');
    assert.equal(headers['openai-beta'], 'b');
    assert.equal(headers['x-other'], undefined);
    assert.equal(headers['baggage'], undefined);
  });

  it('is each header once, whoever sets it besides', async (t) => {
    const { passOn } = await openScene(t, {
      server: {
        forward_headers: ['x-team', 'traceparent', 'accept', 'user-agent'],
      },
      provider: { headers: { 'X-Team': 'of the provider', Accept: 'application/x-own' } },
    });
    const request = await passOn(BODY, {
      'x-team': 'of the client',
      traceparent: '00-1',
      accept: 'text/plain',
      'user-agent': 'the-client/1',
      'accept-encoding': 'gzip',
      'content-type': 'text/plain',
      'x-request-id': 'of-the-client',
    });
    const names = request.rawHeaders.map(([name]) => name.toLowerCase());
    assert.deepEqual(names, [...new Set(names)]);
    assert.equal(request.headers['x-team'], 'of the provider', 'what the operator set wins');
    assert.equal(request.headers['accept'], 'application/x-own');
    assert.equal(request.headers['user-agent'], 'the-client/1');
    assert.equal(request.headers['accept-encoding'], 'identity');
    assert.equal(request.headers['content-type'], 'application/json');
    assert.notEqual(request.headers['x-request-id'], 'of-the-client');
  });

  it('is passed on as it is where it has bytes beyond ASCII', async (t) => {
    const { gateway, upstream } = await openScene(t);
    const sent = Buffer.from(
      chatRequest({}, { tracestate: 'gr\u00fc\u00df', connection: 'close' }),
      'latin1',
    );
    assert.equal((await exchangeRaw(gateway.origin, sent)).status, 200);
    assert.equal(upstream.requests[0]?.headers['tracestate'], 'gr\u00fc\u00df');
  });
});

describe('a provider’s own headers', () => {
  it('are sent with every call', async (t) => {
    const { passOn } = await openScene(t, {
      provider: {
        headers: { 'OpenAI-Organization': 'org-ours', 'X-Title': 'our app', 'user-agent': 'ours/1' },
      },
    });
    const { headers } = await passOn(BODY, { 'openai-organization': 'org-client', 'x-title': 'client' });
    assert.equal(headers['openai-organization'], 'org-ours');
    assert.equal(headers['x-title'], 'our app');
    assert.equal(headers['user-agent'], 'ours/1');
  });

  it('take the place of the bearer token where they have another authorization', async (t) => {
    const { passOn } = await openScene(t, { provider: { headers: { Authorization: 'Token abcdefgh' } } });
    const { headers } = await passOn(BODY, { authorization: 'Bearer client' });
    assert.equal(headers['authorization'], 'Token abcdefgh');
  });

  it('stay with their provider', async (t) => {
    const { upstream, second, post } = await openScene(t, {
      provider: { headers: { 'x-ours': 'of a' } },
      second: {},
    });
    upstream.enqueue(apiError(503));
    assert.equal((await post(BODY)).status, 200);
    assert.equal(upstream.requests[0]?.headers['x-ours'], 'of a');
    assert.equal(second.requests[0]?.headers['x-ours'], undefined);
    assert.equal(second.requests[0]?.headers['authorization'], 'Bearer sk-of-the-provider-b');
  });
});

describe('the id of a try', () => {
  it('is another one for each, though the client repeats its own', async (t) => {
    const { upstream, second, post } = await openScene(t, {
      node: { retry: { attempts: 2 } },
      second: {},
    });
    upstream.reply(() => apiError(500));
    for (let request = 1; request <= 3; request++) {
      const seen = await post(BODY, { 'x-request-id': 'the-same' });
      assert.equal(seen.status, 200);
      assert.equal(seen.headers.get('x-request-id'), 'the-same');
    }
    const ids = [...upstream.requests, ...second.requests].map(({ headers }) => headers['x-request-id']);
    assert.ok(ids.length > 6, String(ids.length));
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(!ids.some((id) => id?.includes('the-same')));
  });
});
