import type { TreeNode } from './tree.ts';

/** The same tree with something else in its leaves. */
export function mapTree<T, U>(node: TreeNode<T>, map: (target: T) => U): TreeNode<U> {
  switch (node.kind) {
    case 'target':
      return { ...node, target: map(node.target) };
    case 'fallback':
      return { ...node, children: node.children.map((child) => mapTree(child, map)) };
    case 'loadbalance':
      return {
        ...node,
        children: node.children.map(({ weight, node: child }) => ({ weight, node: mapTree(child, map) })),
      };
    case 'conditional': {
      // A child that several conditions name stays one child.
      const mapped = new Map<TreeNode<T>, TreeNode<U>>();
      const once = (child: TreeNode<T>) => {
        const known = mapped.get(child) ?? mapTree(child, map);
        mapped.set(child, known);
        return known;
      };
      return {
        ...node,
        conditions: node.conditions.map(({ query, child }) => ({ query, child: once(child) })),
        default: node.default === null ? null : once(node.default),
      };
    }
  }
}

/** Every leaf, in the order of the file. */
export function* targetsOf<T>(node: TreeNode<T>): Generator<T, void, void> {
  switch (node.kind) {
    case 'target':
      yield node.target;
      return;
    case 'fallback':
      for (const child of node.children) yield* targetsOf(child);
      return;
    case 'loadbalance':
      for (const { node: child } of node.children) yield* targetsOf(child);
      return;
    case 'conditional':
      for (const child of new Set(node.conditions.map(({ child }) => child))) yield* targetsOf(child);
      if (node.default !== null) yield* targetsOf(node.default);
  }
}

/** Every leaf below a load balancer that goes by what its provider's rate limits leave. */
export function* judgedByHeadroom<T>(node: TreeNode<T>): Generator<T, void, void> {
  if (node.kind === 'target') return;
  if (node.kind === 'loadbalance' && node.by === 'headroom') yield* targetsOf(node);
  else for (const child of childrenOf(node)) yield* judgedByHeadroom(child);
}

function childrenOf<T>(node: Exclude<TreeNode<T>, { kind: 'target' }>): readonly TreeNode<T>[] {
  switch (node.kind) {
    case 'fallback':
      return node.children;
    case 'loadbalance':
      return node.children.map(({ node: child }) => child);
    case 'conditional':
      return [...node.conditions.map(({ child }) => child), ...(node.default === null ? [] : [node.default])];
  }
}
