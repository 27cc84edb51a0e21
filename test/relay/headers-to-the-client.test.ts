import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apiError, chatAnswer, chatStream, type Script } from '../support/upstream.ts';
import { openScene } from './helpers.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';

/** What hosts send along with an answer. */
const OF_THE_HOST = {
  'x-ratelimit-limit-requests': '10000',
  'x-ratelimit-remaining-requests': '9999',
  'x-ratelimit-reset-tokens': '6m0s',
  'anthropic-ratelimit-requests-limit': '50',
  'openai-organization': 'org-ours',
  'openai-project': 'proj_ours',
  'openai-processing-ms': '312',
  'openai-version': '2020-10-01',
  'set-cookie': ['__cf_bm=secret', 'b=c'],
  server: 'cloudflare',
  'cf-ray': '1',
  via: '1.1 google',
  'x-request-id': 'req_of_the_host',
  'request-id': 'req_of_the_host',
  'retry-after': '0',
  'x-should-retry': 'true',
  'access-control-allow-origin': '*',
  'strict-transport-security': 'max-age=1',
  'alt-svc': 'h3=":443"',
  'www-authenticate': 'Bearer realm="host"',
  location: 'https://host.example/',
  'x-spillway-target': 'forged/target',
  etag: '"1"',
  link: '<https://host.example/>',
  'cache-control': 'private',
};

/** What Node writes itself, for every response. */
const OF_THE_CONNECTION = ['connection', 'date', 'keep-alive', 'transfer-encoding'];

function names(headers: Headers): string[] {
  return [...headers.keys()].filter((name) => !OF_THE_CONNECTION.includes(name)).sort();
}

const RELAYED = ['content-type', 'x-request-id', 'x-spillway-attempts', 'x-spillway-target'];

describe('what a client sees of an upstream’s headers', () => {
  const cases: [name: string, script: Script, stream: boolean, status: number, expected: string[]][] = [
    [
      'a plain answer',
      chatAnswer({ headers: OF_THE_HOST }),
      false,
      200,
      [...RELAYED, 'content-length', 'x-spillway-cost'],
    ],
    [
      'a stream',
      chatStream({ headers: { ...OF_THE_HOST, 'cache-control': 'no-store' } }),
      true,
      200,
      [...RELAYED, 'x-accel-buffering'],
    ],
    [
      'an error that is passed on',
      apiError(400, { message: 'bad' }, OF_THE_HOST),
      false,
      400,
      [...RELAYED, 'content-length', 'x-should-retry'],
    ],
    [
      'an error of ours',
      apiError(500, {}, OF_THE_HOST),
      false,
      502,
      ['content-length', 'content-type', 'x-request-id', 'x-should-retry', 'x-spillway-attempts'],
    ],
  ];
  for (const [name, script, stream, status, expected] of cases) {
    it(`is none of them: ${name}`, async (t) => {
      const { upstream, post } = await openScene(t);
      upstream.enqueue(script);
      const seen = await post(`{"model":"m","stream":${stream},${MESSAGES}}`, { 'x-request-id': 'mine' });
      assert.equal(seen.status, status, seen.text);
      const found = names(seen.headers).filter((header) => header !== 'cache-control');
      assert.deepEqual(found, [...expected].sort());
      assert.equal(seen.headers.get('x-request-id'), 'mine');
      assert.equal(seen.headers.get('x-spillway-attempts'), '1');
      assert.notEqual(seen.headers.get('cache-control'), 'private');
      if (expected.includes('x-spillway-target')) assert.equal(seen.headers.get('x-spillway-target'), 'a/up');
      if (expected.includes('x-should-retry')) assert.equal(seen.headers.get('x-should-retry'), 'false');
      assert.match(
        seen.headers.get('content-type') ?? '',
        stream ? /^text\/event-stream/ : /^application\/json/,
      );
    });
  }

  it('is no rate limit of the host where it was refused for that', async (t) => {
    const { upstream, post } = await openScene(t);
    upstream.enqueue(apiError(429, {}, { ...OF_THE_HOST, 'retry-after': '7' }));
    const seen = await post(`{"model":"m",${MESSAGES}}`);
    assert.equal(seen.status, 429);
    assert.equal(seen.headers.get('retry-after'), '7');
    for (const name of seen.headers.keys()) assert.doesNotMatch(name, /ratelimit|openai|cookie|server/);
  });
});
