import type { Query } from './query.ts';

/** `ms`: milliseconds; `quantile`: of the measured times to first content, 0 to 1. */
export type HedgeAfter = { ms: number } | { quantile: number };

/** When a second target is started beside one that is silent. */
export interface HedgeSettings {
  after: HedgeAfter;
  /** Second targets started stay under this share of the requests, 0 to 1. */
  maxExtra: number;
}

/** What the first choice of a load balancer goes by. */
export type BalanceBy = 'weight' | 'latency' | 'least_busy' | 'cost' | 'headroom';

/** The outermost node that says `cache.mode: exact`: here an answer that is kept is looked for. */
export interface CacheNode {
  /** What one tenant was answered may answer another. */
  shared: boolean;
}

/**
 * What a model name stands for, ready to run: every name looked up, every default filled in. `T` is what a leaf holds;
 * routing never looks inside it.
 */
export type TreeNode<T> = TargetNode<T> | FallbackNode<T> | LoadBalanceNode<T> | ConditionalNode<T>;

/** A node at which an answer is looked for. */
export type CachedNode<T> = TreeNode<T> & { cache: CacheNode };

export function isCached<T>(node: TreeNode<T>): node is CachedNode<T> {
  return node.cache !== null;
}

/** Children of which a second is asked beside a silent one. */
export type RacedNode<T> = FallbackNode<T> & { hedge: HedgeSettings };

export function isRaced<T>(node: TreeNode<T>): node is RacedNode<T> {
  return node.kind === 'fallback' && node.hedge !== null && node.children.length > 1;
}

export interface TargetNode<T> {
  kind: 'target';
  /** Its `name`, else its place in the tree, such as `models.smart.targets[1]`. */
  label: string;
  cache: CacheNode | null;
  target: T;
}

/** Children in order. `single` is a fallback with one child. */
export interface FallbackNode<T> {
  kind: 'fallback';
  label: string;
  cache: CacheNode | null;
  /** Replaces the table's "next target?" column for outcomes that have a status; null = the table holds. 529 counts as 503. */
  onStatusCodes: ReadonlySet<number> | null;
  /** Null: one target after the other. */
  hedge: HedgeSettings | null;
  children: readonly TreeNode<T>[];
}

/** Children by weight, or by what is known of them. */
export interface LoadBalanceNode<T> {
  kind: 'loadbalance';
  label: string;
  cache: CacheNode | null;
  onStatusCodes: ReadonlySet<number> | null;
  by: BalanceBy;
  /** The name of the header, or the path in the body, whose value keeps to one child; null: none does. */
  sticky: string | null;
  children: readonly { weight: number; node: TreeNode<T> }[];
}

/** The child of the first condition that matches, else the default's; with neither, the request is refused. */
export interface ConditionalNode<T> {
  kind: 'conditional';
  label: string;
  cache: CacheNode | null;
  conditions: readonly { query: Query; child: TreeNode<T> }[];
  default: TreeNode<T> | null;
}
