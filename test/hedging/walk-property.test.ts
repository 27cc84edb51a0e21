import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { trees } from '../routing/arbitrary.ts';
import { expectedStory, type Leaf, type Tree } from '../routing/model.ts';
import { fails, OK, open } from '../routing/run.ts';
import { type HedgedRun, type Made, runHedged } from './run.ts';

const FAILURES = [
  fails('server_error', 500),
  fails('server_error', 500),
  fails('overloaded', 503),
  fails('rate_limited', 429),
  fails('timeout', null),
  fails('context_too_long', 400),
  fails('invalid_request', 400),
  fails('content_filtered', 403),
];

const leaf: fc.Arbitrary<Leaf> = fc.record({
  id: fc.constant(''),
  first: fc.oneof(
    { weight: 6, arbitrary: fc.constant(OK) },
    { weight: 6, arbitrary: fc.constantFrom(...FAILURES) },
    { weight: 1, arbitrary: fc.constant(open(5000)) },
  ),
  second: fc.constant(OK),
  takes: fc.integer({ min: 0, max: 12 }),
  patience: fc.constant(0),
});

const after = fc.integer({ min: 1, max: 8 });

/** Any tree, some of its fallbacks with a hedge. Loads are balanced by the same draw always, so that no draw depends on who is asked beside whom. */
const hedgedTrees: fc.Arbitrary<Tree> = trees(leaf).chain((tree) => {
  const count = fallbacksOf(tree).length;
  const hedge = fc.option(
    fc.record({ after: after.map((ms) => ({ ms })), maxExtra: fc.constantFrom(0, 0.5, 1) }),
    {
      freq: 4,
    },
  );
  return fc.array(hedge, { minLength: count, maxLength: count }).map((hedges) => {
    const given = structuredClone(tree);
    for (const [i, node] of fallbacksOf(given).entries()) {
      const one = hedges[i];
      if (node.mode === 'fallback' && one != null) node.hedge = one;
    }
    return given;
  });
});

function fallbacksOf(tree: Tree): Tree[] {
  if (tree.mode === 'target') return [];
  return [...(tree.mode === 'fallback' ? [tree] : []), ...tree.children.flatMap(fallbacksOf)];
}

function idsOf(tree: Tree): Set<string> {
  return new Set(
    tree.mode === 'target' ? [tree.leaf.id] : tree.children.flatMap((child) => [...idsOf(child)]),
  );
}

function nodesOf(tree: Tree): Tree[] {
  return tree.mode === 'target' ? [tree] : [tree, ...tree.children.flatMap(nodesOf)];
}

/** How many of a node's children are under way at once, at most. */
function mostAtOnce(children: readonly Tree[], calls: readonly Made[], endedAt: number): number {
  let most = 0;
  for (const { from } of calls) {
    const underWay = (call: Made) => call.from <= from && from < (call.to ?? endedAt);
    const ids = calls.filter(underWay).map(({ id }) => id);
    most = Math.max(most, children.filter((child) => ids.some((id) => idsOf(child).has(id))).length);
  }
  return most;
}

/** What holds of every walk, whatever came of it. */
function holds(tree: Tree, run: HedgedRun): void {
  assert.equal(run.timersLeft, 0);
  for (const node of nodesOf(tree)) {
    if (node.mode === 'target') continue;
    const mayHedge = node.mode === 'fallback' && node.hedge !== undefined && node.hedge.maxExtra > 0;
    assert.ok(mostAtOnce(node.children, run.calls, run.endedAt) <= (mayHedge ? 2 : 1));
  }
  for (const { told, how } of run.calls) {
    assert.notEqual(how, null, 'a call is still under way');
    assert.ok(told.length <= 1, 'a call was told twice to stop');
  }
}

it('with a hedge everything is answered that would have been without, and nothing is left under way', async () => {
  const seen = new Map(['hedge won', 'hedge lost', 'saved', 'tie', 'none answered'].map((what) => [what, 0]));
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(hedgedTrees, async (tree) => {
      const run = await runHedged(tree);
      holds(tree, run);
      const alone = expectedStory(tree, () => 0, Infinity);
      const { answeredBy, calls, discarded, hedged, cancellation } = run;
      if (alone.answeredBy !== null) assert.notEqual(answeredBy, null);
      if (alone.answeredBy !== answeredBy)
        assert.ok(hedged.includes('won'), 'only a hedge changes who answers');
      if (hedged.length === 0) {
        const asked = calls.filter(({ how }) => how !== 'skipped').map(({ id }) => id);
        const skipped = alone.unanswered.filter(({ end }) => end.kind === 'skipped').map(({ id }) => id);
        assert.deepEqual(
          asked,
          alone.calls.filter((id) => !skipped.includes(id)),
        );
      }

      const answers = calls.filter(({ how }) => how === 'answered').map(({ id }) => id);
      assert.deepEqual(
        answers.toSorted(),
        [...discarded, ...(answeredBy === null ? [] : [answeredBy])].toSorted(),
      );
      for (const { id, how, told } of calls) {
        const lost = how === 'cancelled' || discarded.includes(id);
        assert.deepEqual(told, lost ? ['superseded'] : []);
      }
      // What is tied to the request is the winner alone.
      assert.equal(run.tied, answeredBy === null ? 0 : 1);
      cancellation.cancel('client_gone');
      for (const { id, told } of calls) {
        assert.equal(told.includes('client_gone'), id === answeredBy);
      }

      if (hedged.includes('won')) count('hedge won');
      if (hedged.includes('started') && !hedged.includes('won')) count('hedge lost');
      if (alone.answeredBy === null && answeredBy !== null) count('saved');
      if (discarded.length > 0) count('tie');
      if (answeredBy === null) count('none answered');
    }),
    { numRuns: 5000 },
  );
  const rare = [...seen].filter(([, times]) => times < 10);
  assert.deepEqual(rare, [], `hardly tested: ${JSON.stringify(Object.fromEntries(seen))}`);
});

it('a client that leaves at any moment leaves nothing behind', async () => {
  let left = 0;
  await fc.assert(
    fc.asyncProperty(hedgedTrees, fc.integer({ min: 0, max: 25 }), async (tree, leavesAt) => {
      const run = await runHedged(tree, { leavesAt });
      holds(tree, run);
      const cancelled = run.calls.filter(({ how, told }) => how === 'cancelled' && told[0] === 'client_gone');
      if (cancelled.length === 0) return;
      left++;
      assert.equal(run.answeredBy, null);
      for (const { to } of cancelled) assert.equal(to, run.endedAt);
    }),
    { numRuns: 1000 },
  );
  assert.ok(left > 100, `only ${left} clients left in the middle of it`);
});
