import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startRig } from '../support/rig.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';

/** Bodies in which a name stands twice, and what may go upstream: that which the gateway went by. */
const BODIES: Record<string, { sent: string; upstream: string; model?: string }> = {
  'the model, the last one ours': {
    sent: `{"model":"forbidden",${MESSAGES},"model":"m"}`,
    upstream: `{${MESSAGES},"model":"up"}`,
  },
  'the model, where nothing else changes': {
    sent: `{"model":"forbidden",${MESSAGES},"model":"m"}`,
    upstream: `{${MESSAGES},"model":"m"}`,
    model: 'm',
  },
  'the model, once with escapes': {
    sent: `{"mod\\u0065l":"forbidden",${MESSAGES},"model":"m"}`,
    upstream: `{${MESSAGES},"model":"up"}`,
  },
  'the model, three times': {
    sent: `{"model":"a","x":1,"model":"b","model":"m",${MESSAGES}}`,
    upstream: `{"x":1,"model":"up",${MESSAGES}}`,
  },
  'the messages': {
    sent: `{"model":"m","messages":[{"role":"user","content":"unseen"}],${MESSAGES}}`,
    upstream: `{"model":"up",${MESSAGES}}`,
  },
  'stream: asked for, then not': {
    sent: `{"stream":true,"model":"m",${MESSAGES},"stream":false}`,
    upstream: `{"model":"up",${MESSAGES},"stream":false}`,
  },
  'what we do not know, with numbers that stay as they are': {
    sent: `{"x":1,"model":"m",${MESSAGES},"big":12345678901234567890,"x":1e400,"t":1.10}`,
    upstream: `{"model":"up",${MESSAGES},"big":12345678901234567890,"x":1e400,"t":1.10}`,
  },
  __proto__: {
    sent: `{"__proto__":{"a":1},"model":"m","__proto__":{"b":2},${MESSAGES}}`,
    upstream: `{"model":"up","__proto__":{"b":2},${MESSAGES}}`,
  },
};

describe('a name that stands twice in a request', () => {
  for (const [name, { sent, upstream, model }] of Object.entries(BODIES)) {
    it(`goes upstream once, as we understood it: ${name}`, async (t) => {
      const rig = await startRig(t, model === undefined ? {} : { model });
      const response = await fetch(`${rig.gateway.url}/chat/completions`, { method: 'POST', body: sent });
      assert.equal(response.status, 200, await response.text());
      assert.equal(rig.upstream.requests[0]?.body.toString(), upstream);
    });
  }
});
