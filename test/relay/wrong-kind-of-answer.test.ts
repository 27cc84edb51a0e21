import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEvents } from '../support/rig.ts';
import { chatAnswer, chatStream, plain, type Script } from '../support/upstream.ts';
import { openScene, triesOf } from './helpers.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';
const STREAMED = `{"model":"m","stream":true,${MESSAGES}}`;
const PLAIN = `{"model":"m",${MESSAGES}}`;

function asJson(json: object, type = 'application/json'): Script {
  return plain({ json, headers: { 'content-type': type } });
}

describe('a stream that was asked for', () => {
  const errors: [string, Script, outcome: string, status: number, code: string][] = [
    [
      'a prompt that is too long',
      asJson({ error: { message: 'too long', code: 'context_length_exceeded' } }),
      'context_too_long 400',
      400,
      'context_length_exceeded',
    ],
    [
      'a filter',
      asJson({ error: { message: 'no', code: 'content_filter' } }),
      'content_filtered 400',
      400,
      'content_filter',
    ],
    [
      'a status in its code',
      asJson({ error: { message: 'slow down', code: 429 } }),
      'rate_limited 429',
      429,
      'upstream_rate_limited',
    ],
    [
      'a wrong key, with a charset',
      asJson({ error: { message: 'no', code: 401 } }, 'application/json; charset=utf-8'),
      'credentials_refused 401',
      502,
      'upstream_auth_error',
    ],
    [
      'a problem',
      asJson({ error: { message: 'busy', code: 503 } }, 'application/problem+json'),
      'overloaded 503',
      503,
      '',
    ],
  ];
  for (const [name, script, outcome, status, code] of errors) {
    it(`and was answered with an error as plain JSON is that error: ${name}`, async (t) => {
      const retry = { attempts: 0, budget: { ratio: 0, min_per_second: 0 } };
      const { upstream, post, gateway } = await openScene(t, { node: { retry } });
      upstream.enqueue(script);
      const seen = await post(STREAMED);
      assert.equal(seen.status, status, seen.text);
      if (code !== '') assert.equal(seen.error?.code, code);
      assert.deepEqual(triesOf((await gateway.ended(1))[0]), [outcome]);
    });
  }

  const broken: [string, Script][] = [
    [
      'a whole completion that says it is a stream',
      chatAnswer({ headers: { 'content-type': 'text/event-stream' } }),
    ],
    ['a whole completion that does not say what it is', chatAnswer({ headers: { 'content-type': [] } })],
    ['an empty object', asJson({})],
    ['an empty body', plain({ text: '', headers: { 'content-type': 'application/json' } })],
    ['an empty stream', plain({ text: '', headers: { 'content-type': 'text/event-stream' } })],
    ['a page', plain({ text: '<html>', headers: { 'content-type': 'text/html' } })],
    ['an error that names nothing', asJson({ error: { message: 'oops' } })],
  ];
  for (const [name, script] of broken) {
    it(`and was answered with ${name} is asked for again`, async (t) => {
      const { upstream, post, gateway } = await openScene(t, { node: { retry: { attempts: 1 } } });
      upstream.enqueue(script);
      const seen = await post(STREAMED);
      assert.equal(seen.status, 200, seen.text);
      assert.match(seen.headers.get('content-type') ?? '', /^text\/event-stream/);
      assert.equal(readEvents(seen.text).content, 'Hello from upstream.');
      assert.deepEqual(triesOf((await gateway.ended(1))[0]), ['broken_body -', 'ok 200']);
    });
  }

  for (const encoding of ['identity', 'gzip'] as const) {
    it(`may come as a whole completion, ${encoding === 'gzip' ? 'packed' : 'as it is'}`, async (t) => {
      const { upstream, post, gateway } = await openScene(t);
      upstream.enqueue(chatAnswer(encoding === 'gzip' ? { encoding } : {}));
      const seen = await post(STREAMED);
      assert.match(seen.headers.get('content-type') ?? '', /^text\/event-stream/);
      const { content, done } = readEvents(seen.text);
      assert.deepEqual([content, done], ['Hello from upstream.', true]);
      assert.deepEqual(triesOf((await gateway.ended(1))[0]), ['ok 200']);
    });
  }

  it('may come without saying what it is', async (t) => {
    for (const type of [[], 'text/plain', 'application/octet-stream', 'TEXT/EVENT-STREAM; charset=utf-8']) {
      const { upstream, post } = await openScene(t);
      upstream.enqueue(chatStream({ headers: { 'content-type': type } }));
      assert.equal(readEvents((await post(STREAMED)).text).content, 'Hello from upstream.');
    }
  });
});

describe('a plain answer that was asked for', () => {
  const broken: [string, Script][] = [
    ['an event stream', chatStream()],
    ['an event stream, packed', chatStream({ encoding: 'br' })],
    ['an event stream that says it is JSON', chatStream({ headers: { 'content-type': 'application/json' } })],
  ];
  for (const [name, script] of broken) {
    it(`and was answered with ${name} is asked for again`, async (t) => {
      const { upstream, post, gateway } = await openScene(t, { node: { retry: { attempts: 1 } } });
      upstream.enqueue(script);
      const seen = await post(PLAIN);
      assert.equal(seen.status, 200, seen.text);
      assert.equal(seen.headers.get('content-type'), 'application/json');
      assert.ok(seen.text.includes('"content":"Hello from upstream."'));
      assert.deepEqual(triesOf((await gateway.ended(1))[0]), ['broken_body -', 'ok 200']);
    });
  }

  it('may come without saying what it is', async (t) => {
    for (const type of [[], 'text/plain', 'text/event-stream']) {
      const { upstream, post } = await openScene(t);
      upstream.enqueue(chatAnswer({ headers: { 'content-type': type } }));
      const seen = await post(PLAIN);
      assert.equal(seen.status, 200);
      assert.equal(seen.headers.get('content-type'), 'application/json');
    }
  });
});
