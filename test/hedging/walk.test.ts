import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Hedges } from '../../src/routing/hedge.ts';
import type { FallbackNode, TreeNode } from '../../src/routing/tree.ts';
import type { Leaf, Tree } from '../routing/model.ts';
import {
  cooling,
  fails,
  fallback,
  loadbalance,
  nodeOf,
  OK,
  open,
  run,
  S400,
  S500,
  S503,
  target,
} from '../routing/run.ts';
import { hedged, runHedged, storyOf } from './run.ts';

const slow = (id: string, takes: number, end = OK) => target(id, end, OK, { takes });

describe('a second target', () => {
  it('is asked beside one that has been silent for long enough, and not sooner', async () => {
    const run = await runHedged(hedged([slow('a', 500), slow('b', 30)], 100));
    assert.deepEqual(storyOf(run), ['a 0-130 cancelled', 'b 100-130 answered']);
    assert.deepEqual([run.answeredBy, run.endedAt], ['b', 130]);
    assert.deepEqual(run.hedged, ['started', 'won']);
  });

  it('is not asked when the first one answers in time', async () => {
    const run = await runHedged(hedged([slow('a', 99), slow('b', 30)], 100));
    assert.deepEqual(storyOf(run), ['a 0-99 answered']);
    assert.deepEqual([run.hedged, run.timersLeft], [[], 0]);
  });

  it('is cancelled when the first one answers after all', async () => {
    const run = await runHedged(hedged([slow('a', 150), slow('b', 300)], 100));
    assert.deepEqual(storyOf(run), ['a 0-150 answered', 'b 100-150 cancelled']);
    assert.deepEqual(run.calls[1]?.told, ['superseded']);
    assert.deepEqual([run.answeredBy, run.hedged], ['a', ['started']]);
  });

  it('is one at most: the third waits until one has failed', async () => {
    const run = await runHedged(hedged([slow('a', 500), slow('b', 450), slow('c', 30)], 100));
    assert.deepEqual(storyOf(run), ['a 0-500 answered', 'b 100-500 cancelled']);
  });

  it('is asked for each child in turn: those that follow have their own time', async () => {
    const run = await runHedged(hedged([slow('a', 10, S500), slow('b', 500), slow('c', 30)], 100));
    assert.deepEqual(storyOf(run), ['a 0-10 failed', 'b 10-140 cancelled', 'c 110-140 answered']);
  });

  it('may have a second target itself, once the first has failed and it has been silent for as long', async () => {
    const run = await runHedged(hedged([slow('a', 120, S500), slow('b', 500), slow('c', 30)], 100));
    assert.deepEqual(storyOf(run), ['a 0-120 failed', 'b 100-230 cancelled', 'c 200-230 answered']);
    const late = await runHedged(hedged([slow('a', 250, S500), slow('b', 500), slow('c', 30)], 100));
    assert.deepEqual(storyOf(late), ['a 0-250 failed', 'b 100-280 cancelled', 'c 250-280 answered']);
  });

  it('may be a whole tree', async () => {
    const rest = fallback([slow('b', 20, S500), slow('c', 20)]);
    const run = await runHedged(hedged([slow('a', 500), rest], 100));
    assert.deepEqual(storyOf(run), ['a 0-140 cancelled', 'b 100-120 failed', 'c 120-140 answered']);
  });

  it('that is a whole tree asks nobody more when the first has answered', async () => {
    const rest = fallback([slow('b', 100), slow('c', 20)]);
    const balanced = loadbalance([
      [1, slow('b', 100)],
      [1, slow('c', 20)],
    ]);
    for (const second of [rest, balanced, hedged([slow('b', 100), slow('c', 20)], 90)]) {
      const run = await runHedged(hedged([slow('a', 150), second], 100));
      assert.deepEqual(storyOf(run), ['a 0-150 answered', 'b 100-150 cancelled']);
      assert.equal(run.timersLeft, 0);
    }
  });

  it('that is a whole tree asks nobody more, though it fails only after the first has answered', async () => {
    const parts = [slow('b', 60, S500), slow('c', 20)];
    const balanced = loadbalance(parts.map((part) => [1, part]));
    for (const second of [fallback(parts), balanced, hedged(parts, 90)]) {
      const run = await runHedged(hedged([slow('a', 150), second], 100), { deaf: ['b'], looksOn: 100 });
      assert.deepEqual(storyOf(run), ['a 0-150 answered', 'b 100-160 failed']);
    }
  });

  it('in a part that is itself asked beside another one goes with it', async () => {
    const inner = hedged([slow('b', 900), slow('c', 900)], 50);
    const run = await runHedged(hedged([slow('a', 200), inner], 100));
    assert.deepEqual(storyOf(run), ['a 0-200 answered', 'b 100-200 cancelled', 'c 150-200 cancelled']);
    assert.deepEqual(
      run.calls.map(({ told }) => told.length),
      [0, 1, 1],
    );
  });
});

describe('the time until a second target is asked', () => {
  const tree = hedged([slow('a', 500), slow('b', 30)], { quantile: 0.95 });

  it('follows what was measured of the first', async () => {
    const asked: [string, number][] = [];
    const quantile = ({ id }: { id: string }, share: number) => {
      asked.push([id, share]);
      return 70;
    };
    const run = await runHedged(tree, { measures: { quantile } });
    assert.deepEqual(storyOf(run), ['a 0-100 cancelled', 'b 70-100 answered']);
    assert.deepEqual(asked, [['a', 0.95]]);
  });

  it('is not asked for where nobody is left to be a second', async () => {
    const asked: string[] = [];
    const quantile = ({ id }: { id: string }) => {
      asked.push(id);
      return 70;
    };
    const failing = hedged([slow('a', 10, S500), slow('b', 500)], { quantile: 0.95 });
    await runHedged(failing, { measures: { quantile } });
    assert.deepEqual(asked, ['a']);
  });

  it('is that of the first leaf, if the first is a tree', async () => {
    const nested = hedged([fallback([slow('a', 500), slow('x', 1)]), slow('b', 30)], { quantile: 0.5 });
    const quantile = ({ id }: { id: string }) => (id === 'a' ? 40 : 1);
    assert.deepEqual(storyOf(await runHedged(nested, { measures: { quantile } })), [
      'a 0-70 cancelled',
      'b 40-70 answered',
    ]);
  });

  it('never comes as long as too little was measured', async () => {
    assert.deepEqual(storyOf(await runHedged(tree)), ['a 0-500 answered']);
  });
});

describe('when one of the two fails', () => {
  it('the other one is waited for, and only then are the rest asked', async () => {
    const children = [slow('a', 300, S500), slow('b', 20, S503), slow('c', 30)];
    assert.deepEqual(storyOf(await runHedged(hedged(children, 100))), [
      'a 0-300 failed',
      'b 100-120 failed',
      'c 300-330 answered',
    ]);
  });

  it('and the first ends the request, the second is cancelled at once', async () => {
    for (const [end, codes] of [
      [S400, null],
      [fails('content_filtered', 400), null],
      [S500, [429]],
    ] as const) {
      const children = [slow('a', 150, end), slow('b', 300), slow('c', 30)];
      const run = await runHedged(hedged(children, 100, 1, codes === null ? null : [...codes]));
      assert.deepEqual(storyOf(run), ['a 0-150 failed', 'b 100-150 cancelled']);
      assert.deepEqual([run.answeredBy, run.endedAt], [null, 150]);
    }
  });

  it('a second that may not be followed by others still leaves the first its time', async () => {
    for (const [end, codes] of [
      [S400, null],
      [S500, [503]],
    ] as const) {
      const ofCodes = codes === null ? null : [...codes];
      const answers = [slow('a', 300), slow('b', 20, end), slow('c', 30)];
      const run = await runHedged(hedged(answers, 100, 1, ofCodes));
      assert.deepEqual(storyOf(run), ['a 0-300 answered', 'b 100-120 failed']);
      const fails = [slow('a', 300, S503), slow('b', 20, end), slow('c', 30)];
      const both = await runHedged(hedged(fails, 100, 1, ofCodes));
      assert.deepEqual(storyOf(both), ['a 0-300 failed', 'b 100-120 failed']);
      assert.equal(both.answeredBy, null);
    }
  });

  it('the second is on its own once the first has failed: its failure counts at once', async () => {
    const children = [slow('a', 150, S500), slow('b', 90, S400), slow('c', 30)];
    const run = await runHedged(hedged(children, 100));
    assert.deepEqual(storyOf(run), ['a 0-150 failed', 'b 100-190 failed']);
    assert.equal(run.answeredBy, null);
  });

  it('and both, without others left, the strategy above goes by the last of them in order', async () => {
    const inner = hedged([slow('a', 200, S503), slow('b', 20, S500)], 100);
    const above = (codes: number[]) => fallback([inner, slow('c', 30)], codes);
    assert.equal((await runHedged(above([500]))).answeredBy, 'c');
    assert.equal((await runHedged(above([503]))).answeredBy, null);
    const skippedLast = hedged([slow('a', 20, S500), target('b', open(5000))], 100);
    assert.equal((await runHedged(fallback([skippedLast, slow('c', 30)], [503]))).answeredBy, null);
    assert.equal((await runHedged(fallback([skippedLast, slow('c', 30)], [500]))).answeredBy, 'c');
  });
});

describe('a target that cannot serve', () => {
  it('is passed over at once, without a second one', async () => {
    const run = await runHedged(hedged([target('a', open(5000)), slow('b', 30), slow('c', 1)], 100));
    assert.deepEqual(storyOf(run), ['a 0-0 skipped', 'b 0-30 answered']);
    assert.deepEqual(run.hedged, []);
  });

  it('is passed over as a second one too, and costs nothing of the budget', async () => {
    const hedges = new Hedges();
    const children = [slow('a', 500), target('b', cooling(60_000)), slow('c', 30)];
    const tree = hedged(children, 100, 0.001);
    for (const answeredBy of ['c', 'c', 'c', 'a']) {
      const run = await runHedged(tree, { hedges });
      assert.equal(run.answeredBy, answeredBy);
    }
  });

  it('is no second target: with nobody else the first is waited for', async () => {
    const hedges = new Hedges();
    const tree = hedged([slow('a', 300), target('b', open(5000))], 100, 0.001);
    for (let i = 0; i < 10; i++) {
      const run = await runHedged(tree, { hedges });
      assert.deepEqual(storyOf(run), ['a 0-300 answered', 'b 100-100 skipped']);
      assert.deepEqual(run.hedged, []);
    }
  });
});

describe('the budget', () => {
  it('lets the first slow requests have a second target, and then no more than its share', async () => {
    const hedges = new Hedges();
    const tree = hedged([slow('a', 200), slow('b', 30)], 100, 0.25);
    let second = 0;
    for (let i = 0; i < 100; i++) {
      const { answeredBy } = await runHedged(tree, { hedges });
      if (answeredBy === 'b') second++;
      if (i === 2) assert.equal(second, 3);
      if (i === 14) assert.equal(second, 3);
    }
    assert.equal(second, 25);
  });

  it('of 0 lets none have one', async () => {
    const run = await runHedged(hedged([slow('a', 200), slow('b', 30)], 100, 0));
    assert.deepEqual(storyOf(run), ['a 0-200 answered']);
  });
});

describe('a client that leaves', () => {
  it('ends both, and nothing is asked any more', async () => {
    const children = [slow('a', 500), slow('b', 500), slow('c', 30)];
    const run = await runHedged(hedged(children, 100), { leavesAt: 150 });
    assert.deepEqual(storyOf(run), ['a 0-149 cancelled', 'b 100-149 cancelled']);
    assert.deepEqual(
      run.calls.map(({ told }) => told),
      [['client_gone'], ['client_gone']],
    );
    assert.deepEqual([run.answeredBy, run.timersLeft], [null, 0]);
  });

  it('is the end of it, though the first does not notice that', async () => {
    const run = await runHedged(hedged([slow('a', 500), slow('b', 30)], 100), { leavesAt: 50, deaf: ['a'] });
    assert.deepEqual(
      run.calls.map(({ id, told }) => [id, told]),
      [['a', ['client_gone']]],
    );
  });

  it('after the answer has begun ends the winner, and tells the loser nothing new', async () => {
    const run = await runHedged(hedged([slow('a', 500), slow('b', 30)], 100));
    run.cancellation.cancel('client_gone');
    assert.deepEqual(
      run.calls.map(({ told }) => told),
      [['superseded'], ['client_gone']],
    );
  });
});

it('of two answers at the same time the first is taken, and the other one let go of', async () => {
  const run = await runHedged(hedged([slow('a', 130), slow('b', 30)], 100));
  assert.equal(run.answeredBy, 'a');
  assert.deepEqual(run.discarded, ['b']);
  assert.deepEqual(
    run.calls.map(({ told }) => told),
    [[], ['superseded']],
  );
});

describe('a fault of our own', () => {
  const children = (first: number, second: number) => [slow('a', first), slow('b', second), slow('c', 10)];

  it('in the first ends the request, and the second', async () => {
    const run = await runHedged(hedged(children(150, 300), 100), { broken: ['a'] });
    assert.match(String(run.error), /a is broken/);
    assert.deepEqual(run.calls[1]?.told, ['superseded']);
    assert.equal(run.timersLeft, 0);
  });

  it('in the second does not take the answer of the first away', async () => {
    const run = await runHedged(hedged(children(200, 20), 100), { broken: ['b'] });
    assert.deepEqual([run.answeredBy, run.error], ['a', null]);
  });

  it('in the second is seen when the first has failed', async () => {
    const failing = [slow('a', 200, S500), slow('b', 20), slow('c', 10)];
    const run = await runHedged(hedged(failing, 100), { broken: ['b'] });
    assert.match(String(run.error), /b is broken/);
  });

  it('in what is known of a target is seen, whenever it is asked for', async () => {
    for (const unknown of ['a', 'b']) {
      const quantile = ({ id }: { id: string }) => {
        if (id === unknown) throw new Error(`${id} is unknown`);
        return 100;
      };
      const failing = hedged([slow('a', 50, S500), slow('b', 20), slow('c', 10)], { quantile: 0.95 });
      const run = await runHedged(failing, { measures: { quantile } });
      assert.match(String(run.error), new RegExp(`${unknown} is unknown`));
      assert.deepEqual(run.calls.at(-1)?.told, ['superseded']);
      assert.deepEqual([run.timersLeft, run.tied], [0, 0]);
    }
  });

  it("in a child that had lost already is nobody's business", async () => {
    const run = await runHedged(hedged(children(130, 30), 100), { broken: ['b'] });
    assert.deepEqual([run.answeredBy, run.error], ['a', null]);
  });
});

describe('where answers are kept', () => {
  const withCache = (tree: Tree): TreeNode<Leaf> => ({ ...nodeOf(tree), cache: { shared: false } });

  it('one that is there ends the walk, and nobody is asked', async () => {
    for (const tree of [
      target('a', OK),
      fallback([target('a', OK)]),
      hedged([slow('a', 1), slow('b', 1)], 5),
    ]) {
      const run = await runHedged(withCache(tree), { lookUp: () => ({ takes: 7, answer: 'kept' }) });
      assert.deepEqual([run.answeredBy, run.calls, run.endedAt], ['kept', [], 7]);
    }
  });

  it('and there is none, the node is visited', async () => {
    const asked: object[] = [];
    const lookUp = (node: object) => {
      asked.push(node);
      return { takes: 0, answer: null };
    };
    const run = await runHedged(withCache(fallback([slow('a', 5, S500), slow('b', 5)])), { lookUp });
    assert.deepEqual([run.answeredBy, asked], ['b', [{ shared: false }]]);
  });

  it('the others are not asked once another part of the tree has answered', async () => {
    const node = nodeOf(hedged([slow('a', 150), slow('b', 10)], 100)) as FallbackNode<Leaf>;
    const [first, second] = node.children;
    assert.ok(first !== undefined && second !== undefined);
    const tree = { ...node, children: [first, { ...second, cache: { shared: true } }] };
    const slowly = await runHedged(tree, { lookUp: () => ({ takes: 60, answer: null }), looksOn: 100 });
    assert.deepEqual(storyOf(slowly), ['a 0-150 answered']);
    const kept = await runHedged(tree, { lookUp: () => ({ takes: 20, answer: 'kept' }) });
    assert.deepEqual([kept.answeredBy, storyOf(kept)], ['kept', ['a 0-120 cancelled']]);
  });
});

it('what a target says after its cooldown is judged by the strategies above it, hedged or not', async () => {
  const children = [target('a', cooling(1000), S500), target('b', cooling(2000))];
  const { story } = await run(hedged(children, 10_000, 1, [429]));
  assert.deepEqual([story.calls, story.answeredBy], [['a', 'b', 'a'], null]);
});

it('what requests must have in common to keep to one child is asked for by its name', async () => {
  const balanced = nodeOf(loadbalance('abcdefgh'.split('').map((id) => [1, slow(id, 1)])));
  const tree = { ...balanced, sticky: 'x-user' } as TreeNode<Leaf>;
  const answeredBy = async (value: string | null, chance: number) =>
    (
      await runHedged(tree, {
        chance: () => chance,
        stickyValue: (name) => (name === 'x-user' ? value : assert.fail(name)),
      })
    ).answeredBy;
  assert.equal(await answeredBy('ann', 0), await answeredBy('ann', 0.99));
  assert.notEqual(await answeredBy(null, 0), await answeredBy(null, 0.99));
});
