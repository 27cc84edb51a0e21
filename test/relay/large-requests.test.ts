import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { startRig } from '../support/rig.ts';
import { reset } from '../support/upstream.ts';

/** Pictures in a message: twenty megabytes of them. */
const IMAGE = `data:image/png;base64,${Buffer.alloc(3.75 * 1024 * 1024, 'picture').toString('base64')}`;
const PARTS = Array.from({ length: 4 }, () => ({ type: 'image_url', image_url: { url: IMAGE } }));
const MESSAGES = JSON.stringify([
  { role: 'user', content: [{ type: 'text', text: 'what are these?' }, ...PARTS] },
]);

const hash = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('a request of twenty megabytes', () => {
  it('goes upstream whole, on every try', async (t) => {
    const rig = await startRig(t, { second: true, node: { override_params: { seed: 7 } } });
    rig.upstream.enqueue(reset());
    const sent = `{"model":"m","messages":${MESSAGES},"temperature":1.10}`;
    assert.ok(sent.length > 20_000_000);
    const response = await fetch(`${rig.gateway.url}/chat/completions`, { method: 'POST', body: sent });
    assert.equal(response.status, 200, await response.text());
    const [first] = rig.upstream.requests;
    const [second] = rig.second.requests;
    const expected = `{"model":"up","messages":${MESSAGES},"temperature":1.10,"seed":7}`;
    assert.equal(hash(first?.body ?? ''), hash(expected));
    assert.equal(hash(second?.body ?? ''), hash(sent.replace('"m"', '"up"')));
    for (const request of [first, second]) {
      assert.equal(request?.headers['content-length'], String(request?.body.length));
      assert.equal(request?.headers['transfer-encoding'], undefined);
    }
    await rig.nothingLeft();
  });

  it('goes upstream whole where nothing changes', async (t) => {
    const rig = await startRig(t, { model: 'm' });
    const sent = `{"model":"m","messages":${MESSAGES}}`;
    await fetch(`${rig.gateway.url}/chat/completions`, { method: 'POST', body: sent });
    assert.equal(hash(rig.upstream.requests[0]?.body ?? ''), hash(sent));
    await rig.nothingLeft();
  });
});
