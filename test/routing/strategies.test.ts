import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawByWeight } from '../../src/routing/balance.ts';
import { drawnFrom } from './arbitrary.ts';
import type { Tree } from './model.ts';
import {
  cooling,
  fails,
  fallback,
  loadbalance,
  OK,
  open,
  run,
  S400,
  S401,
  S429,
  S500,
  S503,
  target,
} from './run.ts';

/** Which targets are called, in order. */
async function calls(tree: Tree, ...drawn: number[]): Promise<string> {
  const { story } = await run(tree, drawn.length === 0 ? undefined : drawnFrom(drawn));
  return story.calls.join(' ');
}

/** A chance that is the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('fallback', () => {
  it('asks its children in order until one answers', async () => {
    const tree = fallback([target('a', S500), target('b', S429), target('c', OK), target('d', OK)]);
    assert.equal(await calls(tree), 'a b c');
  });

  it('ends at a fault of the client, whoever else there is', async () => {
    assert.equal(await calls(fallback([target('a', S400), target('b', OK)])), 'a');
  });

  it('goes on where the prompt was too long, for the next target may hold more', async () => {
    const tooLong = fails('context_too_long', 400);
    assert.equal(await calls(fallback([target('a', tooLong), target('b', OK)])), 'a b');
  });
});

describe('loadbalance', () => {
  const thirds = (first: Tree) =>
    loadbalance([
      [2, first],
      [1, target('b', S500)],
      [1, target('c', S500)],
    ]);

  it('renews the weights when a child fails: the others share its part', async () => {
    // 0.6 of all the weights would be b; of those of b and c alone it is c.
    assert.equal(await calls(thirds(target('a', S500)), 0.4, 0.6), 'a c b');
    assert.equal(await calls(thirds(target('a', S500)), 0.4, 0.4), 'a b c');
  });

  it('passes over a child that cannot serve, as if it were not there', async () => {
    assert.equal(await calls(thirds(target('a', open(5000), S500)), 0.4, 0.6), 'a c b');
    const asleep = fallback([target('a1', open(5000)), target('a2', cooling(60_000))]);
    assert.equal(await calls(thirds(asleep), 0.4, 0.6), 'a1 a2 c b');
  });

  it('never picks a weight of 0 first, and turns to it when nothing else is left', async () => {
    const tree = loadbalance([
      [0, target('spare', OK)],
      [1, target('a', S500)],
      [3, target('b', S500)],
    ]);
    for (let i = 0; i < 100; i++) assert.doesNotMatch(await calls(tree, i / 100), /^spare/);
    assert.equal(await calls(tree, 0), 'a b spare');
  });

  it('picks in proportion to the weights', () => {
    const chance = seeded(1);
    const first = new Map<string, number>();
    const second = new Map<string, number>();
    const children = [
      { weight: 0.5, node: 'a' },
      { weight: 0.3, node: 'b' },
      { weight: 0.2, node: 'c' },
      { weight: 0, node: 'never' },
    ];
    for (let i = 0; i < 20_000; i++) {
      const [one = '', other = ''] = drawByWeight(children, chance);
      first.set(one, (first.get(one) ?? 0) + 1);
      if (one === 'a') second.set(other, (second.get(other) ?? 0) + 1);
    }
    const share = (counts: Map<string, number>, name: string) =>
      (counts.get(name) ?? 0) / [...counts.values()].reduce((sum, count) => sum + count);
    const near = (actual: number, wanted: number) =>
      assert.ok(Math.abs(actual - wanted) < 0.015, `${actual}, not ${wanted}`);
    near(share(first, 'a'), 0.5);
    near(share(first, 'b'), 0.3);
    near(share(first, 'c'), 0.2);
    near(share(second, 'b'), 0.6);
    near(share(second, 'c'), 0.4);
    assert.equal(first.has('never') || second.has('never'), false);
  });
});

describe('conditional', () => {
  const [a, b, c] = [target('a', OK), target('b', OK), target('c', OK)];
  const conditional = (matches: boolean[], fallThrough: number | null): Tree => ({
    mode: 'conditional',
    children: [a, b, c],
    conditions: matches.map((one, child) => ({ matches: one, child })),
    default: fallThrough,
  });

  it('takes the child of the first condition that matches', async () => {
    assert.equal(await calls(conditional([false, true, true], 0)), 'b');
  });

  it('takes the default where none matches', async () => {
    assert.equal(await calls(conditional([false, false], 2)), 'c');
  });

  it('refuses the request with 400 where none matches and there is no default', async () => {
    const { story, verdict, message } = await run(conditional([false, false], null));
    assert.deepEqual(story.calls, []);
    assert.deepEqual([verdict?.status, verdict?.code, verdict?.shouldRetry], [400, 'invalid_value', false]);
    assert.equal(message, "No condition of the model 'm' matches this request, and it has no default.");
  });

  it('that matches nothing hands over to the next child of the node above', async () => {
    assert.equal(await calls(fallback([conditional([false], null), target('d', OK)])), 'd');
  });

  it('takes no other child when the one it took fails', async () => {
    const tree: Tree = {
      mode: 'conditional',
      children: [target('a', S500), b],
      conditions: [{ matches: true, child: 0 }],
      default: 1,
    };
    assert.equal(await calls(tree), 'a');
  });
});

describe('on_status_codes', () => {
  it('lets the listed statuses go on and ends the request at the others', async () => {
    const tree = (...codes: number[]) =>
      fallback([target('a', S400), target('b', S500), target('c', OK)], codes);
    assert.equal(await calls(tree(400, 500)), 'a b c');
    assert.equal(await calls(tree(400)), 'a b');
    assert.equal(await calls(tree(500)), 'a');
  });

  it('counts 529 as 503, and not the other way round', async () => {
    const s529 = fails('overloaded', 529);
    assert.equal(await calls(fallback([target('a', s529), target('b', OK)], [503])), 'a b');
    assert.equal(await calls(fallback([target('a', S503), target('b', OK)], [529])), 'a');
  });

  it('has no say about refused credentials, nor about what has no status', async () => {
    const behind = fails('target_misconfigured', 401);
    for (const end of [S401, behind, fails('credentials_refused', 403), fails('connection_failed', null)]) {
      assert.equal(await calls(fallback([target('a', end), target('b', OK)], [429])), 'a b');
    }
    for (const end of [fails('timeout', null), fails('broken_body', null)]) {
      assert.equal(await calls(fallback([target('a', end), target('b', OK)], [429])), 'a b');
    }
  });

  it('never lets a request go on that is over', async () => {
    for (const kind of ['client_gone', 'deadline', 'shutdown'] as const) {
      assert.equal(await calls(fallback([target('a', fails(kind, null)), target('b', OK)], [500])), 'a');
    }
  });

  it('of the outer strategy judges the last outcome of an inner one that has nothing left', async () => {
    const inner = fallback([target('a', S500), target('b', S503)]);
    assert.equal(await calls(fallback([inner, target('c', OK)], [503])), 'a b c');
    assert.equal(await calls(fallback([inner, target('c', OK)], [500])), 'a b');
    const skippedAtTheEnd = fallback([target('a', S500), target('b', open(5000))]);
    assert.equal(await calls(fallback([skippedAtTheEnd, target('c', OK)], [500])), 'a b c');
  });

  it('of the inner strategy ends the whole request, even at its last child', async () => {
    const inner = fallback([target('a', S500), target('b', S503)], [500]);
    assert.equal(await calls(fallback([inner, target('c', OK)], [503])), 'a b');
  });

  it('does not ask about a child that was skipped', async () => {
    const tree = loadbalance(
      [
        [1, target('a', cooling(60_000))],
        [1, target('b', open(5000))],
        [1, target('c', OK)],
      ],
      [429],
    );
    assert.equal(await calls(tree, 0), 'a b c');
  });
});
