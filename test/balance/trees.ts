import type { Measures } from '../../src/routing/measures.ts';
import type { BalanceBy, LoadBalanceNode, TreeNode } from '../../src/routing/tree.ts';

/** A leaf with what is known of it. */
export interface Leaf {
  id: string;
  usable?: boolean;
  latency?: number | null;
  inFlight?: number;
  cost?: number | null;
  headroom?: number | null;
}

export const MEASURES: Measures<Leaf> = {
  id: ({ id }) => id,
  usable: ({ usable = true }) => usable,
  latency: ({ latency = null }) => latency,
  quantile: () => null,
  inFlight: ({ inFlight = 0 }) => inFlight,
  cost: ({ cost = null }) => cost,
  headroom: ({ headroom = null }) => headroom,
};

export function target<T>(leaf: T): TreeNode<T> {
  return { kind: 'target', label: 'target', cache: null, target: leaf };
}

export function fallback<T>(children: readonly TreeNode<T>[]): TreeNode<T> {
  return { kind: 'fallback', label: 'fallback', cache: null, onStatusCodes: null, hedge: null, children };
}

export function balanced<T>(
  by: BalanceBy,
  children: readonly { weight: number; node: TreeNode<T> }[],
  sticky: string | null = null,
): LoadBalanceNode<T> {
  return {
    kind: 'loadbalance',
    label: 'loadbalance',
    cache: null,
    onStatusCodes: null,
    by,
    sticky,
    children,
  };
}

/** Leaves of weight 1, unless they say another. */
export function ofLeaves(
  by: BalanceBy,
  leaves: readonly (Leaf & { weight?: number })[],
): LoadBalanceNode<Leaf> {
  return balanced(
    by,
    leaves.map((leaf) => ({ weight: leaf.weight ?? 1, node: target(leaf) })),
  );
}

/** A chance that is the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
