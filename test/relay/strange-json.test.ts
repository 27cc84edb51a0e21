import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exchangeRaw } from '../support/raw-http.ts';
import { chatRequest } from '../support/rig.ts';
import { openScene } from './helpers.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';

/** Bodies that no well-meaning client sends. Null: passed on, with the other model. */
const BODIES: Record<string, [body: string | Buffer, code: string | null]> = {
  'a million brackets and nothing else': ['['.repeat(1_000_000), 'invalid_json'],
  'a million brackets inside': [`{"model":"m",${MESSAGES},"x":${'['.repeat(1_000_000)}`, 'invalid_json'],
  'a million objects inside': [`{"model":"m",${MESSAGES},"x":${'{"a":'.repeat(1_000_000)}`, 'invalid_json'],
  'few brackets in a short body': ['['.repeat(1000), 'invalid_json'],
  'bytes that are no UTF-8': [Buffer.from(`{"model":"m",${MESSAGES},"x":"\xff"}`, 'latin1'), 'invalid_json'],
  'a surrogate in UTF-8': [
    Buffer.concat([
      Buffer.from(`{"model":"m",${MESSAGES},"x":"`),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from('"}'),
    ]),
    'invalid_json',
  ],
  'a letter cut in its middle': [
    Buffer.from(`{"model":"m",${MESSAGES},"x":"ü`).subarray(0, -1),
    'invalid_json',
  ],
  'a model that is half of a pair': [`{"model":"\\ud83d",${MESSAGES}}`, 'model_not_found'],
  'a model of two megabytes': [`{"model":"${'m'.repeat(2_000_000)}",${MESSAGES}}`, 'model_not_found'],
  'a model that every object has': [`{"model":"__proto__",${MESSAGES}}`, 'model_not_found'],
  'a model that every object has as a method': [`{"model":"constructor",${MESSAGES}}`, 'model_not_found'],
  'a prototype in place of everything': [
    `{"__proto__":{"model":"m",${MESSAGES}}}`,
    'missing_required_parameter',
  ],
  'a prototype beside everything': [
    `{"model":"m",${MESSAGES},"__proto__":{"stream":true},"constructor":{"prototype":{"stream":true}}}`,
    null,
  ],
  'half of a pair in a name': [`{"model":"m",${MESSAGES},"\\udc00":1}`, null],
  'half of a pair in a message': [
    '{"model":"m","messages":[{"role":"user","content":"\\udc00\\ud800"}]}',
    null,
  ],
  'an empty message': ['{"model":"m","messages":[{}]}', null],
  'a number of a million digits': [`{"model":"m",${MESSAGES},"x":${'9'.repeat(1_000_000)}}`, null],
};

describe('a body that no well-meaning client sends', () => {
  for (const [name, [body, code]] of Object.entries(BODIES)) {
    it(`is refused clearly, or passed on: ${name}`, async (t) => {
      const { upstream, post } = await openScene(t);
      const seen = await post(body);
      if (code === null) {
        assert.equal(seen.status, 200, seen.text);
        const sent = String(body).replace('"model":"m"', '"model":"up"');
        assert.ok(upstream.requests[0]?.body.toString() === sent);
      } else {
        assert.equal(seen.status, code === 'model_not_found' ? 404 : 400);
        assert.equal(seen.error?.code, code);
        assert.ok(seen.text.length < 1000);
        assert.equal(upstream.requests.length, 0);
      }
      assert.equal((await post(`{"model":"m",${MESSAGES}}`)).status, 200, 'the gateway goes on');
    });
  }
});

describe('a header that goes on to the upstream', () => {
  it('never makes the target look misconfigured, whatever bytes it has', async (t) => {
    const { gateway, upstream } = await openScene(t);
    for (const byte of [0x01, 0x08, 0x0b, 0x1f, 0x7f, 0x80, 0xff]) {
      const sent = chatRequest({}, { traceparent: `a${String.fromCharCode(byte)}b`, connection: 'close' });
      const { status } = await exchangeRaw(gateway.origin, Buffer.from(sent, 'latin1'));
      assert.equal(status, byte < 0x80 ? 400 : 200, `byte ${byte}`);
    }
    assert.equal(upstream.requests.length, 2);
    assert.equal((await gateway.upstreams())[0]?.last_error, null);
  });
});
