import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isOwn, ownParts } from '../../src/core/own-bytes.ts';

const KIB = 1024;

it('small pieces of something larger are copied, and are what they were', () => {
  const pooled = Buffer.from('{"model":"m"}');
  const view = Buffer.alloc(64 * KIB, 'x').subarray(10, 20);
  const parts = ownParts([pooled, view]);
  assert.deepEqual(parts, [pooled, view]);
  for (const part of parts) assert.equal(part.buffer.byteLength, part.length);
});

it('what is large, or alone in its memory, stays where it is', () => {
  const large = Buffer.alloc(100 * KIB).subarray(0, 40 * KIB);
  const own = Buffer.allocUnsafeSlow(100);
  const parts = ownParts([large, own]);
  assert.equal(parts[0], large);
  assert.equal(parts[1], own);
  assert.ok(isOwn(own));
});
