import type { Query } from './query.ts';

/**
 * What a model name stands for, ready to run: every name looked up, every default filled in. `T` is what a leaf holds;
 * routing never looks inside it.
 */
export type TreeNode<T> = TargetNode<T> | FallbackNode<T> | LoadBalanceNode<T> | ConditionalNode<T>;

export interface TargetNode<T> {
  kind: 'target';
  /** Its `name`, else its place in the tree, such as `models.smart.targets[1]`. */
  label: string;
  target: T;
}

/** Children in order. `single` is a fallback with one child. */
export interface FallbackNode<T> {
  kind: 'fallback';
  label: string;
  /** Replaces the table's "next target?" column for outcomes that have a status; null = the table holds. 529 counts as 503. */
  onStatusCodes: ReadonlySet<number> | null;
  children: readonly TreeNode<T>[];
}

/** Children by weight. */
export interface LoadBalanceNode<T> {
  kind: 'loadbalance';
  label: string;
  onStatusCodes: ReadonlySet<number> | null;
  children: readonly { weight: number; node: TreeNode<T> }[];
}

/** The child of the first condition that matches, else the default's; with neither, the request is refused. */
export interface ConditionalNode<T> {
  kind: 'conditional';
  label: string;
  conditions: readonly { query: Query; child: TreeNode<T> }[];
  default: TreeNode<T> | null;
}
