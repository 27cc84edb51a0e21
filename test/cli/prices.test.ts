import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { cli } from './helpers.ts';
import { writeTemporary } from './temporary.ts';

const FILE =
  'version: 1\nauth: none\nproviders: { one: { adapter: vllm } }\nmodels: { m: { provider: one } }\nprices: mine.yaml\n';

test('check says how many prices there are, and what is wrong with them where they stand', async (t) => {
  const file = writeTemporary(t, FILE);
  const prices = join(dirname(file), 'mine.yaml');
  writeFileSync(prices, 'prices:\n  - { models: [m], in: 1, out: 2 }\n');
  assert.match((await cli(['check', file])).out, /\n {2}prices +1 entry\n/);
  writeFileSync(prices, 'prices:\n  - { models: [m], in: 1, out: -2 }\n');
  const { status, err } = await cli(['check', file]);
  assert.equal(status, 1);
  assert.equal(err, `${prices}:2:32: prices[0].out: expected 0 or more, found -2\n1 problem\n`);
});
