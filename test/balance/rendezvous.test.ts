import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { inOrder } from '../../src/routing/balance.ts';
import type { LoadBalanceNode } from '../../src/routing/tree.ts';
import { balanced, fallback, type Leaf, MEASURES, ofLeaves, target } from './trees.ts';

function never(): number {
  throw new Error('a sticky value leaves nothing to chance');
}

function order(node: LoadBalanceNode<Leaf>, sticky: string): string[] {
  return [...inOrder(node, { measures: MEASURES, chance: never, sticky })].map((child) =>
    child.kind === 'target' ? child.target.id : '',
  );
}

const VALUES = Array.from({ length: 20_000 }, (_, i) => `conversation-${i}`);

function shares(node: LoadBalanceNode<Leaf>, place = 0, values = VALUES): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) {
    const id = order(node, value)[place] ?? '';
    counts[id] = (counts[id] ?? 0) + 1 / values.length;
  }
  return counts;
}

function near(actual: number | undefined, wanted: number, tolerance = 0.015): void {
  assert.ok(Math.abs((actual ?? 0) - wanted) < tolerance, `${actual}, not ${wanted}`);
}

const children = fc.uniqueArray(
  fc.record({
    id: fc.stringMatching(/^[a-z]{1,4}\/[a-z]{1,4}$/),
    weight: fc.constantFrom(0.1, 0.5, 1, 2, 7),
  }),
  { minLength: 2, maxLength: 8, selector: ({ id }) => id },
);

describe('the order of a sticky value', () => {
  it('is the same every time, for every node like this one, wherever its children stand', () => {
    fc.assert(
      fc.property(children, fc.string(), (leaves, value) => {
        const once = order(ofLeaves('weight', leaves), value);
        assert.deepEqual(order(ofLeaves('weight', leaves), value), once);
        assert.deepEqual(order(ofLeaves('weight', leaves.toReversed()), value), once);
      }),
    );
  });

  it('stays as it was for all others when a child goes or comes', () => {
    fc.assert(
      fc.property(children, fc.string(), fc.nat(), (leaves, value, which) => {
        const gone = leaves[which % leaves.length]?.id;
        const before = order(ofLeaves('weight', leaves), value);
        const after = order(
          ofLeaves(
            'weight',
            leaves.filter(({ id }) => id !== gone),
          ),
          value,
        );
        assert.deepEqual(
          after,
          before.filter((id) => id !== gone),
        );
      }),
    );
  });

  it('stays as it was for all others when a weight changes, and the one whose weight grows only comes forward', () => {
    fc.assert(
      fc.property(children, fc.string(), fc.nat(), (leaves, value, which) => {
        const grown = leaves[which % leaves.length]?.id ?? '';
        const before = order(ofLeaves('weight', leaves), value);
        const heavier = leaves.map((leaf) =>
          leaf.id === grown ? { ...leaf, weight: leaf.weight * 3 } : leaf,
        );
        const after = order(ofLeaves('weight', heavier), value);
        assert.deepEqual(
          after.filter((id) => id !== grown),
          before.filter((id) => id !== grown),
        );
        assert.ok(after.indexOf(grown) <= before.indexOf(grown));
      }),
    );
  });

  it('does not depend on what can serve, nor on how busy, fast or dear it is', () => {
    const plain = ofLeaves('latency', [{ id: 'a' }, { id: 'b' }, { id: 'c' }]);
    const troubled = ofLeaves('latency', [
      { id: 'a', usable: false },
      { id: 'b', latency: 1, inFlight: 9 },
      { id: 'c', cost: 1, headroom: 0 },
    ]);
    for (const value of VALUES.slice(0, 200)) assert.deepEqual(order(plain, value), order(troubled, value));
  });

  it('leaves children of weight 0 for last', () => {
    const node = ofLeaves('weight', [{ id: 'spare', weight: 0 }, { id: 'a' }, { id: 'b', weight: 0.001 }]);
    for (const value of VALUES.slice(0, 500)) assert.equal(order(node, value)[2], 'spare');
  });

  it('is the one that all gateways of all times agree on', () => {
    // Written down once: another order would move all conversations at once when a gateway is replaced by a newer one.
    const node = ofLeaves('weight', [
      { id: 'openai/a' },
      { id: 'azure/a', weight: 2 },
      { id: 'groq/b', weight: 0.5 },
    ]);
    assert.deepEqual(
      ['', 'acme\nalice', 'acme\nbob', 'x'.repeat(1000), '\u{1f600}', '\u0000'].map((value) =>
        order(node, value).join(' '),
      ),
      [
        'groq/b openai/a azure/a',
        'groq/b azure/a openai/a',
        'azure/a openai/a groq/b',
        'openai/a azure/a groq/b',
        'openai/a azure/a groq/b',
        'azure/a openai/a groq/b',
      ],
    );
  });
});

describe('sticky values', () => {
  it('are shared out in proportion to the weights, and so are those of a child that is gone', () => {
    const node = ofLeaves('weight', [
      { id: 'a', weight: 5 },
      { id: 'b', weight: 3 },
      { id: 'c', weight: 2 },
    ]);
    const first = shares(node);
    near(first['a'], 0.5);
    near(first['b'], 0.3);
    near(first['c'], 0.2);
    const ofA = VALUES.filter((value) => order(node, value)[0] === 'a');
    const next = shares(node, 1, ofA);
    near(next['b'], 0.6, 0.02);
    near(next['c'], 0.4, 0.02);
  });

  it('are shared out evenly however alike they are, and however alike the children', () => {
    const node = ofLeaves(
      'weight',
      Array.from({ length: 10 }, (_, i) => ({ id: `p${i}/m` })),
    );
    const alike = {
      numbers: VALUES.map((_, i) => String(i)),
      'long with one letter at the end': VALUES.map(
        (_, i) => `${'x'.repeat(40)}${String.fromCharCode(1000 + i)}`,
      ),
      'long with one letter at the start': VALUES.map(
        (_, i) => `${String.fromCharCode(1000 + i)}${'x'.repeat(40)}`,
      ),
    };
    for (const [what, values] of Object.entries(alike)) {
      const counts = shares(node, 0, values);
      // Chi square, nine degrees of freedom: 27.9 is passed by chance once in a thousand times.
      const chi =
        Object.values(counts).reduce((sum, share) => sum + (share - 0.1) ** 2 / 0.1, 0) * values.length;
      assert.equal(Object.keys(counts).length, 10);
      assert.ok(chi < 27.9, `${what}: ${chi}`);
    }
  });

  it('tell children apart that lead to the same targets', () => {
    const node = ofLeaves('weight', [{ id: 'a/m' }, { id: 'a/m' }, { id: 'b/m' }]);
    const firsts = new Map<object, number>();
    for (const sticky of VALUES) {
      const [first] = inOrder(node, { measures: MEASURES, chance: never, sticky });
      firsts.set(first as object, (firsts.get(first as object) ?? 0) + 1 / VALUES.length);
    }
    for (const share of firsts.values()) near(share, 1 / 3);
    assert.equal(firsts.size, 3);
  });

  it('know a child with children by all its leaves', () => {
    const tree = (last: string) =>
      balanced<Leaf>('weight', [
        { weight: 1, node: fallback([target({ id: 'a' }), target({ id: last })]) },
        { weight: 1, node: target({ id: 'c' }) },
      ]);
    const movedBy = (one: LoadBalanceNode<Leaf>, other: LoadBalanceNode<Leaf>) =>
      VALUES.slice(0, 2000).filter((value) => order(one, value)[0] !== order(other, value)[0]).length / 2000;
    assert.equal(movedBy(tree('b'), tree('b')), 0);
    // To c or from it: where c stands between the one and the other, a third of all.
    near(movedBy(tree('b'), tree('d')), 1 / 3, 0.04);
  });
});
