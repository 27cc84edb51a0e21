import assert from 'node:assert/strict';
import { it } from 'node:test';
import { newIds } from '../../src/app/ids.ts';

it('ids are never given twice, are all of one length, and are others in another process', () => {
  const [newId, another] = [newIds(), newIds()];
  const ids = Array.from({ length: 5000 }, newId);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[0-9a-f]{16}[0-9a-z]{7}$/);
  assert.ok(!ids.includes(another()));
});
