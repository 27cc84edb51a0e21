import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delta, PROVIDER_KEY, ROLE, readEvents, startRig, text } from '../support/rig.ts';
import { named, plain, type Script, stream } from '../support/upstream.ts';

const LEAK = `Incorrect API key provided: ${PROVIDER_KEY}. Find yours at https://x.example/?key=${PROVIDER_KEY}`;

const ESCAPED = `Incorrect API key: ${PROVIDER_KEY.replaceAll('-', '\\u002d')}`;

/** Errors after the first content in which an upstream writes the key that it was called with. */
const IN_BAND: Record<string, Script> = {
  'the message of an error event': stream([ROLE, text('Hello'), { error: { message: LEAK, code: 401 } }]),
  'an error that is a text': stream([ROLE, text('Hello'), { error: LEAK }]),
  'an error without a message': stream([ROLE, text('Hello'), { error: { details: [{ reason: LEAK }] } }]),
  'an event called error': stream([ROLE, text('Hello'), named('error', { message: LEAK })]),
  'an event called error that is no JSON': stream([ROLE, text('Hello'), `event: error\ndata: ${LEAK}`]),
  'a key written with escapes': stream([ROLE, text('Hello'), `data: {"error":{"message":"${ESCAPED}"}}`]),
  'an error of Groq': stream([ROLE, text('Hello'), { ...(delta({}) as object), x_groq: { error: LEAK } }]),
  'a finish reason of error': stream([
    ROLE,
    text('Hello'),
    { ...(delta({}, 'error') as object), error: { message: LEAK } },
  ]),
};

/** The same before the first content. */
const AT_ONCE: Record<string, Script> = {
  'an error event': stream([{ error: { message: LEAK, code: 'content_filter' } }]),
  'an error body': plain({ json: { error: { message: LEAK, code: 'content_filter', param: LEAK } } }),
  'an error body with escapes': plain({
    bytes: Buffer.from(
      `{"error":{"message":"${ESCAPED}","type":"invalid_request_error","code":"content_filter"}}`,
    ),
    headers: { 'content-type': 'application/json' },
  }),
  'a page': plain({ text: LEAK, headers: { 'content-type': 'text/html' } }),
  'a page with the key where its beginning ends': plain({
    text: `${'x'.repeat(190)}${PROVIDER_KEY}`,
    headers: { 'content-type': 'text/html' },
  }),
};

/** Any eight characters of the key in a row are too many. */
function assertNoKey(text: string): void {
  for (let at = 0; at + 8 <= PROVIDER_KEY.length; at++) {
    const piece = PROVIDER_KEY.slice(at, at + 8);
    assert.ok(!text.includes(piece), `${piece} is in: ${text}`);
  }
}

describe('a provider key that the upstream writes', () => {
  for (const [name, how] of Object.entries(IN_BAND)) {
    it(`does not reach the client of a stream: ${name}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(how);
      const reader = await rig.stream();
      const received = readEvents(await reader.rest());
      assert.equal(rig.upstream.requests[0]?.headers['authorization'], `Bearer ${PROVIDER_KEY}`);
      assert.equal(received.error?.code, 'stream_interrupted');
      assertNoKey(reader.text);
      assertNoKey(JSON.stringify(received.error));
      assertNoKey(JSON.stringify([rig.gateway.logs, await rig.line(), await rig.gateway.upstreams()]));
      assertNoKey(await rig.gateway.metrics());
    });
  }

  for (const [name, how] of Object.entries(AT_ONCE)) {
    for (const stream of [true, false]) {
      it(`does not reach a client that gets an error: ${name}, ${stream ? 'streamed' : 'plain'}`, async (t) => {
        const rig = await startRig(t);
        rig.upstream.enqueue(how);
        const response = await rig.gateway.chat({ stream });
        assertNoKey(JSON.stringify([...response.headers]));
        const body = await response.text();
        assertNoKey(body);
        assertNoKey(JSON.stringify(JSON.parse(body)));
        assertNoKey(JSON.stringify([rig.gateway.logs, await rig.line(), await rig.gateway.upstreams()]));
        assertNoKey(await rig.gateway.metrics());
      });
    }
  }
});
