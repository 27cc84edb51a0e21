import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { apiError } from '../support/upstream.ts';
import { openScene } from './helpers.ts';

/** A short name for many bytes, so that a failure can be read. */
function digest(bytes: Uint8Array | string): string {
  return `${Buffer.byteLength(bytes)} ${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Four images, each another one, of 5 MB. */
const images = Array.from({ length: 4 }, () => {
  const data = randomBytes(3.75 * 1024 * 1024).toString('base64');
  return `{"type":"image_url","image_url":{"url":"data:image/png;base64,${data}"}}`;
}).join(',');

const bodyFor = (model: string) =>
  `{"messages":[{"role":"user","content":[${images}]}],"model":"${model}","seed":1e400}`;

it('a request of 20 MB arrives whole again after an error, and as its own at another target', async (t) => {
  const { upstream, second, post } = await openScene(t, {
    node: { retry: { attempts: 1 } },
    second: { override_params: { seed: null, n: 1 } },
  });
  upstream.reply(() => apiError(500));
  assert.equal((await post(bodyFor('m'))).status, 200);
  assert.equal(upstream.requests.length, 2);
  for (const { body, headers } of upstream.requests) {
    assert.equal(digest(body), digest(bodyFor('up')));
    assert.equal(headers['content-length'], String(body.length));
    assert.equal(headers['transfer-encoding'], undefined);
  }
  const [request] = second.requests;
  const expected = bodyFor('other').replace(',"seed":1e400}', ',"n":1}');
  assert.equal(digest(request?.body ?? ''), digest(expected));
  assert.equal(request?.headers['content-length'], String(expected.length));
});
