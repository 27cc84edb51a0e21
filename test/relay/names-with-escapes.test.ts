import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openScene } from './helpers.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';

/** A name that ends in a backslash and a letter, as JSON text. */
const BAIT = '"mod\\\\u"';

describe('a name with escapes, after one with a backslash that begins alike', () => {
  // V8's parser confuses the two, process-wide.
  it('is read as what it is', async (t) => {
    const { passOn } = await openScene(t);
    await passOn(`{${BAIT}:1,"model":"m",${MESSAGES}}`);
    const { body } = await passOn(`{"mod\\u0065l":"m",${MESSAGES}}`);
    assert.equal(body.toString(), `{"model":"up",${MESSAGES}}`);
  });

  it('smuggles no other model past the gateway', async (t) => {
    for (const model of ['up', 'm']) {
      const { upstream, post } = await openScene(t, { node: { model } });
      await post(`{"model":"m",${BAIT}:1,${MESSAGES}}`);
      const { status, error } = await post(`{"model":"m","mod\\u0065l":"forbidden",${MESSAGES}}`);
      assert.equal(status, 404);
      assert.equal(error?.code, 'model_not_found');
      assert.equal(upstream.requests.length, 1);
    }
  });
});
