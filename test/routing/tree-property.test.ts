import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { drawnFrom, draws, trees } from './arbitrary.ts';
import { expectedStory, expectedVerdict } from './model.ts';
import { run } from './run.ts';

/** `total` of every request, in milliseconds. */
const TOTAL = 20_000;

/** What has to come up often enough to have been tested. */
const CASES = [
  'answered',
  'client gone',
  '400',
  '429',
  '502',
  '503',
  '504',
  'relayed',
  'waited',
  'waited twice',
];

it('trees are walked and judged as the contract says, whatever their targets do', async () => {
  const seen = new Map<string, number>(CASES.map((what) => [what, 0]));
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(trees(), draws, async (tree, drawn) => {
      const { story, verdict } = await run(tree, drawnFrom(drawn), TOTAL);
      const expected = expectedStory(tree, drawnFrom(drawn), TOTAL);
      assert.deepEqual(story, expected);
      const answered = expected.answeredBy !== null;
      const wanted = answered ? null : expectedVerdict(expected);
      assert.deepEqual(verdict, wanted);

      count(answered ? 'answered' : String(wanted?.status ?? 'client gone'));
      if (typeof wanted?.relayedFrom === 'string') count('relayed');
      if (expected.waits.length > 0) count('waited');
      if (expected.waits.length > 1) count('waited twice');
    }),
    { numRuns: 4000 },
  );
  const rare = CASES.filter((what) => (seen.get(what) ?? 0) < 25);
  assert.deepEqual(rare, [], `hardly tested: ${JSON.stringify(Object.fromEntries(seen))}`);
});
