import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { inOrder } from '../../src/routing/balance.ts';
import { BALANCE_WORDS } from '../../src/routing/schema.ts';
import type { LoadBalanceNode } from '../../src/routing/tree.ts';
import { balanced, fallback, type Leaf, MEASURES, ofLeaves, seeded, target } from './trees.ts';

/** The ids of the first leaves of its children, in the order in which these are asked. */
function order(
  node: LoadBalanceNode<Leaf>,
  chance = seeded(1),
  sticky: string | null = null,
  measures = MEASURES,
): string[] {
  return [...inOrder(node, { measures, chance, sticky })].map((child) => {
    const leaf = child.kind === 'fallback' ? child.children[0] : child;
    return leaf?.kind === 'target' ? leaf.target.id : '';
  });
}

/** How often each comes first, of so many times. */
function firsts(node: LoadBalanceNode<Leaf>, times = 10_000): Record<string, number> {
  const chance = seeded(7);
  const counts: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const [first = ''] = order(node, chance);
    counts[first] = (counts[first] ?? 0) + 1 / times;
  }
  return counts;
}

function near(actual: number | undefined, wanted: number): void {
  assert.ok(Math.abs((actual ?? 0) - wanted) < 0.02, `${actual}, not ${wanted}`);
}

const leaf = fc.record({
  id: fc.constantFrom('a/1', 'b/1', 'c/1'),
  weight: fc.constantFrom(0, 0, 0.5, 1, 3),
  usable: fc.boolean(),
  latency: fc.constantFrom(null, 0, 100, 100, 2000),
  inFlight: fc.nat(5),
  cost: fc.constantFrom(null, 0, 1, 2),
  headroom: fc.constantFrom(null, 0, 0.3, 1),
});

describe('in whichever mode', () => {
  const anyNode = fc.record({
    by: fc.constantFrom(...BALANCE_WORDS),
    leaves: fc.array(leaf, { minLength: 1, maxLength: 6 }),
    sticky: fc.option(fc.string()),
    seed: fc.integer(),
  });

  it('each child comes exactly once', () => {
    fc.assert(
      fc.property(anyNode, ({ by, leaves, sticky, seed }) => {
        const node = ofLeaves(by, leaves);
        const given = [...inOrder(node, { measures: MEASURES, chance: seeded(seed), sticky })];
        assert.equal(given.length, leaves.length);
        assert.deepEqual(new Set(given), new Set(node.children.map((child) => child.node)));
      }),
    );
  });

  it('weight 0 comes after all other weights', () => {
    fc.assert(
      fc.property(anyNode, ({ by, leaves, sticky, seed }) => {
        const node = ofLeaves(by, leaves);
        const given = [...inOrder(node, { measures: MEASURES, chance: seeded(seed), sticky })];
        const weights = given.map((one) => node.children.find((child) => child.node === one)?.weight ?? NaN);
        const firstSpare = weights.indexOf(0);
        if (firstSpare >= 0) assert.ok(weights.slice(firstSpare).every((weight) => weight === 0));
      }),
    );
  });

  it('those that cannot serve come after those that can, but for weight 0, and where the order is a sticky value’s or by weight alone', () => {
    fc.assert(
      fc.property(anyNode, ({ by, leaves, seed }) => {
        fc.pre(by !== 'weight');
        const weighty = leaves.filter(({ weight }) => weight > 0);
        fc.pre(weighty.length > 0);
        const node = ofLeaves(by, weighty);
        const given = [...inOrder(node, { measures: MEASURES, chance: seeded(seed), sticky: null })];
        const usable = given.map((child) => child.kind === 'target' && child.target.usable === true);
        const firstUnusable = usable.indexOf(false);
        if (firstUnusable >= 0) assert.ok(!usable.slice(firstUnusable).includes(true));
      }),
    );
  });

  it('asks for nothing of the others when only one can serve', () => {
    for (const by of BALANCE_WORDS) {
      const node = ofLeaves(by, [
        { id: 'a', usable: false, latency: 1, cost: 0, headroom: 1 },
        { id: 'b', latency: 9000, inFlight: 99, cost: 9, headroom: 0 },
      ]);
      const firstUsable = order(node).find((id) => id === 'b' || by !== 'weight');
      assert.equal(firstUsable, 'b', by);
    }
  });

  it('what is known is looked at anew for each choice', () => {
    const [a, b, c] = [
      { id: 'a', inFlight: 1 },
      { id: 'b', inFlight: 2 },
      { id: 'c', inFlight: 3 },
    ];
    const children = inOrder(ofLeaves('least_busy', [a, b, c]), {
      measures: MEASURES,
      chance: seeded(1),
      sticky: null,
    });
    const given: string[] = [];
    for (const child of children) {
      given.push(child.kind === 'target' ? child.target.id : '');
      c.inFlight = 0;
    }
    assert.deepEqual(given, ['a', 'c', 'b']);
  });

  it('a child with children is judged by the first of its leaves that can serve', () => {
    const tree = (usable: boolean) =>
      balanced<Leaf>('cost', [
        { weight: 1, node: target({ id: 'plain', cost: 2 }) },
        {
          weight: 1,
          node: fallback([target({ id: 'dear', cost: 3, usable }), target({ id: 'cheap', cost: 1 })]),
        },
      ]);
    assert.deepEqual(order(tree(true)), ['plain', 'dear']);
    assert.deepEqual(order(tree(false)), ['dear', 'plain']);
  });

  it('a child with children can serve as long as one of its leaves can', () => {
    const asleep = (last: boolean) =>
      balanced<Leaf>('cost', [
        {
          weight: 1,
          node: fallback([
            target({ id: 'a', usable: false, cost: 1 }),
            target({ id: 'b', usable: last, cost: 1 }),
          ]),
        },
        { weight: 1, node: target({ id: 'c', cost: 2 }) },
      ]);
    assert.deepEqual(order(asleep(true)), ['a', 'c']);
    assert.deepEqual(order(asleep(false)), ['c', 'a']);
  });
});

describe('by latency', () => {
  const FAST = { id: 'fast', latency: 200 };
  const SLOW = { id: 'slow', latency: 2000 };

  it('takes the faster of two', () => {
    assert.deepEqual(firsts(ofLeaves('latency', [SLOW, FAST])), {
      fast: firsts(ofLeaves('latency', [SLOW, FAST]))['fast'],
    });
    assert.deepEqual(order(ofLeaves('latency', [SLOW, FAST])), ['fast', 'slow']);
  });

  it('draws two of several: the fastest gets most, the slowest none, and not all go to one', () => {
    const middle = { id: 'middle', latency: 700 };
    const shares = firsts(ofLeaves('latency', [SLOW, FAST, middle]));
    near(shares['fast'], 2 / 3);
    near(shares['middle'], 1 / 3);
    assert.equal(shares['slow'], undefined);
  });

  it('is more likely to draw one of more weight', () => {
    const middle = { id: 'middle', latency: 700, weight: 8 };
    const shares = firsts(ofLeaves('latency', [SLOW, FAST, middle]));
    // Drawn first or second: 1/10 + 8/10 × 1/2 + 1/10 × 1/9.
    near(shares['fast'], 0.1 + 0.4 + 0.1 / 9);
  });

  it('looks at one of which nothing is known while nobody else does', () => {
    assert.deepEqual(order(ofLeaves('latency', [FAST, { id: 'new' }])), ['new', 'fast']);
  });

  it('sends few more to look while the first is under way: fewer, the more there are', () => {
    const share = (inFlight: number) => firsts(ofLeaves('latency', [FAST, { id: 'new', inFlight }]))['new'];
    near(share(1), 1 / 2);
    near(share(3), 1 / 4);
    near(share(99), 1 / 100);
  });

  it('spreads requests while nothing is known of anybody', () => {
    const node = ofLeaves('latency', [
      { id: 'a', inFlight: 4 },
      { id: 'b', inFlight: 3 },
    ]);
    assert.deepEqual(firsts(node), { b: firsts(node)['b'] });
    const even = firsts(ofLeaves('latency', [{ id: 'a' }, { id: 'b' }]));
    near(even['a'], 0.5);
  });
});

describe('by least_busy', () => {
  it('takes the one with the fewest requests for its weight', () => {
    const node = ofLeaves('least_busy', [
      { id: 'a', inFlight: 2 },
      { id: 'b', inFlight: 4, weight: 2 },
      { id: 'c', inFlight: 9, weight: 3 },
    ]);
    // 3/1, 5/2, 10/3.
    assert.deepEqual(order(node), ['b', 'a', 'c']);
  });

  it('takes the one with the most weight while nobody is busy', () => {
    const shares = firsts(ofLeaves('least_busy', [{ id: 'a' }, { id: 'b', weight: 2 }]));
    assert.ok((shares['b'] ?? 0) > 0.999);
  });

  it('leaves ties to chance', () => {
    const shares = firsts(ofLeaves('least_busy', [{ id: 'a' }, { id: 'b' }, { id: 'c', inFlight: 1 }]));
    near(shares['a'], 0.5);
    near(shares['b'], 0.5);
  });
});

describe('by cost', () => {
  it('takes the cheapest, and last those whose price is not known', () => {
    const node = ofLeaves('cost', [
      { id: 'unknown' },
      { id: 'dear', cost: 5 },
      { id: 'free', cost: 0 },
      { id: 'cheap', cost: 1 },
    ]);
    assert.deepEqual(order(node), ['free', 'cheap', 'dear', 'unknown']);
  });

  it('shares by weight among those that cost the same', () => {
    const shares = firsts(
      ofLeaves('cost', [
        { id: 'a', cost: 1, weight: 3 },
        { id: 'b', cost: 1 },
        { id: 'c', cost: 2, weight: 9 },
      ]),
    );
    near(shares['a'], 0.75);
    near(shares['b'], 0.25);
  });

  it('shares by weight where no price is known', () => {
    near(firsts(ofLeaves('cost', [{ id: 'a', weight: 3 }, { id: 'b' }]))['a'], 0.75);
  });
});

describe('by headroom', () => {
  it('shares in proportion to weight and to what is left', () => {
    const shares = firsts(
      ofLeaves('headroom', [
        { id: 'a', headroom: 0.5 },
        { id: 'b', headroom: 0.25, weight: 4 },
        { id: 'c', headroom: 0.5, weight: 3 },
      ]),
    );
    near(shares['a'], 0.5 / 3);
    near(shares['b'], 1 / 3);
    near(shares['c'], 1.5 / 3);
  });

  it('takes one that has not said what is left as if it had all', () => {
    near(firsts(ofLeaves('headroom', [{ id: 'a', headroom: 0.25 }, { id: 'b' }]))['b'], 0.8);
  });

  it('never takes one with nothing left for a matter of rounding', () => {
    // 0.1 + 0.2 + 0.3 is a little more than 0.6.
    const node = ofLeaves('headroom', [
      { id: 'a', headroom: 0.1 },
      { id: 'b', headroom: 0.2 },
      { id: 'c', headroom: 0.3 },
      { id: 'empty', headroom: 0 },
    ]);
    assert.equal(order(node, () => 1 - 2 ** -53)[0], 'c');
  });

  it('takes one with nothing left only after all others, and shares by weight if none has any', () => {
    assert.deepEqual(
      firsts(
        ofLeaves('headroom', [
          { id: 'a', headroom: 0, weight: 100 },
          { id: 'b', headroom: 0.001 },
        ]),
        1,
      )['b'],
      1,
    );
    for (let seed = 0; seed < 50; seed++) {
      const node = ofLeaves('headroom', [
        { id: 'a', headroom: 0 },
        { id: 'b', headroom: 0.001 },
        { id: 'c' },
      ]);
      assert.equal(order(node, seeded(seed)).at(-1), 'a');
    }
    near(
      firsts(
        ofLeaves('headroom', [
          { id: 'a', headroom: 0, weight: 3 },
          { id: 'b', headroom: 0 },
        ]),
      )['a'],
      0.75,
    );
  });
});
