import assert from 'node:assert/strict';
import { it } from 'node:test';
import { refusalCost } from '../../src/overload/refusal-cost.ts';

it('a refusal costs more the longer the body is that has to be read over', () => {
  assert.deepEqual([0, 240, 19_999, 20_000, 100_000, 1_000_000].map(refusalCost), [1, 1, 1, 2, 6, 51]);
});
