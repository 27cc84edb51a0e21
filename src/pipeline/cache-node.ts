import type { JsonObject } from '../core/json.ts';
import type { Facts } from '../routing/query.ts';
import type { TreeNode } from '../routing/tree.ts';
import type { Target } from '../upstream/registry.ts';

type Node = TreeNode<Target>;

/** What a request may come to from a node, as its conditions have it. */
export interface Reach {
  targets: ReadonlySet<Target>;
  /** The same for the same targets with the same settings, in every gateway; another one after a reload that changed what they answer. */
  fingerprint: string;
  /** The longest that a request may take there. Milliseconds. */
  total: number;
}

/** Of nodes without conditions: the same for every request. */
const REACHES = new WeakMap<Node, Reach>();
const CONDITIONAL = new WeakMap<Node, boolean>();

/** `facts`: of the request; asked for where there are conditions. */
export function reachOf(node: Node, facts: () => Facts): Reach {
  if (isConditional(node)) return newReach(node, facts);
  return remembered(REACHES, node, () => newReach(node, facts));
}

function isConditional(root: Node): boolean {
  return remembered(
    CONDITIONAL,
    root,
    (node) => node.kind === 'conditional' || childrenOf(node).some(isConditional),
  );
}

function newReach(node: Node, facts: () => Facts): Reach {
  const targets = new Set(reached(node, facts));
  const settings = [...targets].map(settingsThatMatter);
  const totals = [...targets].map((target) => target.settings.timeouts.total);
  return { targets, fingerprint: JSON.stringify(settings), total: Math.max(0, ...totals) };
}

function* reached(node: Node, facts: () => Facts): Generator<Target, void, void> {
  if (node.kind === 'target') yield node.target;
  else if (node.kind === 'conditional') {
    const known = facts();
    const chosen = node.conditions.find(({ query }) => query.matches(known))?.child ?? node.default;
    if (chosen !== null) yield* reached(chosen, facts);
  } else for (const child of childrenOf(node)) yield* reached(child, facts);
}

function settingsThatMatter({ settings, origin, basePath }: Target): (string | boolean | JsonObject)[] {
  const { id, overrideParams, strictParams } = settings;
  return [id, origin, basePath, overrideParams, strictParams];
}

function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'target':
      return [];
    case 'fallback':
      return node.children;
    case 'loadbalance':
      return node.children.map(({ node: child }) => child);
    case 'conditional': {
      const named = node.conditions.map(({ child }) => child);
      return node.default === null ? named : [...named, node.default];
    }
  }
}

function remembered<V>(known: WeakMap<Node, V>, node: Node, find: (node: Node) => V): V {
  let value = known.get(node);
  if (value === undefined) {
    value = find(node);
    known.set(node, value);
  }
  return value;
}
