import { formatDuration } from '../core/units.ts';
import type { NodeFile } from '../routing/schema.ts';
import type { TargetSettings } from '../routing/target.ts';
import type { HedgeSettings, TreeNode } from '../routing/tree.ts';
import type { Path } from './problem.ts';
import type { Scope } from './scope.ts';

type Tree = TreeNode<TargetSettings>;

export function hedgeOf({ hedge }: NonNullable<NodeFile['strategy']>): HedgeSettings | null {
  return hedge === undefined ? null : { after: hedge.after, maxExtra: hedge.max_extra };
}

/** Of a hedge that never comes to pass. `path`: where it stands. */
export function warnOfHedge(
  { after, maxExtra }: HedgeSettings,
  children: readonly Tree[],
  path: Path,
  scope: Scope,
): void {
  if (maxExtra === 0) {
    scope.warn(
      [...path, 'max_extra'],
      'is 0, so that no second target is ever asked; leave `hedge` out instead',
    );
  }
  if (!('ms' in after)) return;
  // Nothing is asked beside the last one.
  const firstTokens = children.slice(0, -1).flatMap(firstTokensIn);
  const longest = Math.max(...firstTokens);
  if (firstTokens.length === 0 || after.ms < longest) return;
  const bound = `\`timeouts.first_token\` (${formatDuration(longest)})`;
  scope.warn([...path, 'after'], `is not below ${bound}: a try of a stream is given up before it is hedged`);
}

/** Of all targets below. */
function firstTokensIn(node: Tree): number[] {
  switch (node.kind) {
    case 'target':
      return [node.target.timeouts.firstToken];
    case 'fallback':
      return node.children.flatMap(firstTokensIn);
    case 'loadbalance':
      return node.children.flatMap(({ node: child }) => firstTokensIn(child));
    case 'conditional': {
      const named = node.conditions.map(({ child }) => child);
      return (node.default === null ? named : [...named, node.default]).flatMap(firstTokensIn);
    }
  }
}
