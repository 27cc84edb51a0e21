import fc from 'fast-check';
import type { FailureKind } from '../../src/core/outcome.ts';
import type { End, Leaf, ModelFailure, Tree } from './model.ts';

/** What each kind of failure may come with. */
const STATUSES: Readonly<Record<FailureKind, readonly (number | null)[]>> = {
  invalid_request: [400, 404, 405, 413, 415, 422],
  context_too_long: [400, 413],
  content_filtered: [400, 403],
  target_misconfigured: [404, 400, 302, null],
  credentials_refused: [401, 403],
  out_of_credit: [402, 429],
  rate_limited: [429],
  overloaded: [503, 529],
  server_error: [500, 502, 504, 408, 409, 424, 425],
  connection_failed: [null],
  timeout: [null],
  broken_body: [null],
  client_gone: [null],
  deadline: [null],
  superseded: [null],
  diverged: [null],
  shutdown: [null],
};

/** Kinds that end everything are rare, and so are those that are all that a verdict is made of. */
const KINDS: readonly FailureKind[] = [
  ...(Object.keys(STATUSES) as FailureKind[]).slice(0, 12),
  ...(Object.keys(STATUSES) as FailureKind[]).slice(0, 12),
  ...Array<FailureKind>(4).fill('rate_limited'),
  ...Array<FailureKind>(4).fill('overloaded'),
  ...Array<FailureKind>(2).fill('credentials_refused'),
  'client_gone',
  'deadline',
  'shutdown',
];

const failure: fc.Arbitrary<ModelFailure> = fc.constantFrom(...KINDS).chain((kind) =>
  fc.record({
    kind: fc.constant(kind),
    status: fc.constantFrom(...STATUSES[kind]),
  }),
);

const cooldown = fc.constantFrom(0, 500, 1200, 4000, 9000, 12_000, 300_000);

const end: fc.Arbitrary<End> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ kind: 'answered' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('failed' as const),
      failure,
      readyInMs: fc.constantFrom(0, 300, 2000, 20_000, 90_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('skipped' as const),
      coolsInMs: cooldown,
      opensInMs: fc.constantFrom(null, null, 5000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('skipped' as const),
      coolsInMs: fc.constant(null),
      opensInMs: fc.constantFrom(0, 5000, 70_000),
    }),
  },
);

const leaf: fc.Arbitrary<Leaf> = fc.record({
  id: fc.constant(''),
  first: end,
  second: end,
  takes: fc.constantFrom(0, 0, 100, 3000, 8000),
  patience: fc.constantFrom(10_000, 10_000, 2000, 0),
});

const codes = fc.option(
  fc.subarray([400, 401, 402, 404, 408, 413, 422, 424, 429, 500, 502, 503, 504, 529], { minLength: 1 }),
  { freq: 2 },
);

/** Trees of up to four levels. `leaves` makes what they end in; ids are given afterwards, in the order of the file. */
export function trees(leaves: fc.Arbitrary<Leaf> = leaf): fc.Arbitrary<Tree> {
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => {
    const children = (minLength = 1) => fc.array(tie('tree'), { minLength, maxLength: 4 });
    const target = leaves.map((one): Tree => ({ mode: 'target', leaf: one }));
    const fallback = fc.record({ mode: fc.constant('fallback' as const), codes, children: children() });
    const single = fc.record({
      mode: fc.constant('single' as const),
      codes,
      children: fc.tuple(tie('tree')).map((one): Tree[] => one),
    });
    const loadbalance = children().chain((among) =>
      fc.record({
        mode: fc.constant('loadbalance' as const),
        codes,
        children: fc.constant(among),
        weights: fc
          .array(fc.constantFrom(0, 1, 1, 2, 5), { minLength: among.length, maxLength: among.length })
          .filter((weights) => weights.some((weight) => weight > 0)),
      }),
    );
    const conditional = children(2).chain((among) => {
      const child = fc.nat(among.length - 1);
      return fc.record({
        mode: fc.constant('conditional' as const),
        children: fc.constant(among),
        conditions: fc.array(fc.record({ matches: fc.boolean(), child }), { minLength: 1, maxLength: 3 }),
        default: fc.option(child, { freq: 2 }),
      });
    });
    return {
      tree: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        { weight: 4, arbitrary: target },
        { weight: 3, arbitrary: fallback },
        { weight: 3, arbitrary: loadbalance },
        { weight: 1, arbitrary: conditional },
        { weight: 1, arbitrary: single },
      ),
    };
  });
  return tree.map((grown) => numbered(grown, { next: 0 }));
}

function numbered(tree: Tree, count: { next: number }): Tree {
  if (tree.mode !== 'target')
    return { ...tree, children: tree.children.map((child) => numbered(child, count)) };
  const number = count.next++;
  return { ...tree, leaf: { ...tree.leaf, id: `p${number}/${tree.leaf.id || 'm'}` } };
}

export function leavesOf(tree: Tree): Leaf[] {
  return tree.mode === 'target' ? [tree.leaf] : tree.children.flatMap(leavesOf);
}

/** Chance, given as a list that begins again at its end. No share of the tickets there are falls on one of these numbers but 0. */
export const draws: fc.Arbitrary<number[]> = fc.array(
  fc.nat(96).map((n) => n / 97),
  { minLength: 1, maxLength: 8 },
);

export function drawnFrom(list: readonly number[]): () => number {
  let drawn = 0;
  return () => list[drawn++ % list.length] as number;
}
