import assert from 'node:assert/strict';
import { it } from 'node:test';
import { requestWeight } from '../../src/overload/request-weight.ts';

it('a request weighs the more the longer its body is', () => {
  assert.deepEqual([0, 240, 19_999, 20_000, 100_000, 1_000_000].map(requestWeight), [1, 1, 1, 2, 6, 51]);
});
