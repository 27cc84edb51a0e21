import type { Chance } from '../core/clock.ts';
import { type FailureKind, OUTCOME_RULES } from '../core/outcome.ts';
import type { Facts } from './query.ts';
import type { LoadBalanceNode, TreeNode } from './tree.ts';

/** What the walk must know of a call to one target. */
export type CallResult<A> =
  | { kind: 'answered'; answer: A }
  | { kind: 'failed'; failure: { kind: FailureKind; status: number | null } }
  /** Nothing was sent. `coolsInMs`: when it could be, if only a cooldown stands in the way. */
  | { kind: 'skipped'; coolsInMs: number | null };

export interface WalkOptions<T, A> {
  facts: Facts;
  chance: Chance;
  /** Calls one target. Told of every visit in order, so the caller can keep the story. */
  call(target: T): Promise<CallResult<A>>;
  /** Waits for a cooldown of so many milliseconds if that target's settings allow it. False: not allowed, or no longer wanted. */
  waitFor(target: T, ms: number): Promise<boolean>;
}

/** How a node ended. `stopped`: the request is over, whatever else there is in the tree. */
type NodeEnd<A> =
  | { kind: 'answered'; answer: A }
  | { kind: 'stopped' }
  /** `last`: the last failure, null if all was skipped. */
  | { kind: 'exhausted'; last: { kind: FailureKind; status: number | null } | null };

/**
 * Walks a tree until a target answers, a failure ends the request, or nothing is left; then waits for cooldowns, the shortest
 * first, where that is allowed. Returns the answer, or null: why, the caller has seen.
 */
export async function walk<T, A>(root: TreeNode<T>, options: WalkOptions<T, A>): Promise<A | null> {
  const walker = new Walker(options);
  const end = await walker.visit(root);
  if (end.kind === 'answered') return end.answer;
  return end.kind === 'stopped' ? null : walker.waitForCooldowns();
}

class Walker<T, A> {
  readonly #options: WalkOptions<T, A>;
  /** Targets that were skipped for a cooldown alone. */
  readonly #cooling = new Map<T, number>();

  constructor(options: WalkOptions<T, A>) {
    this.#options = options;
  }

  visit(node: TreeNode<T>): Promise<NodeEnd<A>> {
    switch (node.kind) {
      case 'target':
        return this.#call(node.target);
      case 'fallback':
        return this.#inTurn(node.children, node.onStatusCodes);
      case 'loadbalance':
        return this.#byWeight(node);
      case 'conditional': {
        const chosen =
          node.conditions.find(({ query }) => query.matches(this.#options.facts))?.child ?? node.default;
        return chosen === null ? Promise.resolve({ kind: 'exhausted', last: null }) : this.visit(chosen);
      }
    }
  }

  /** When nothing else is left: one visit to each target that was only cooling down, as soon as it may be asked. */
  async waitForCooldowns(): Promise<A | null> {
    while (this.#cooling.size > 0) {
      const [target, ms] = [...this.#cooling].reduce((first, other) => (other[1] < first[1] ? other : first));
      this.#cooling.delete(target);
      if (!(await this.#options.waitFor(target, ms))) continue;
      // Of the others, so much of the wait is over as well.
      for (const [other, left] of this.#cooling) this.#cooling.set(other, Math.max(0, left - ms));
      const result = await this.#options.call(target);
      if (result.kind === 'answered') return result.answer;
      if (result.kind === 'failed' && !goesOn(result.failure, null)) return null;
    }
    return null;
  }

  async #call(target: T): Promise<NodeEnd<A>> {
    const result = await this.#options.call(target);
    switch (result.kind) {
      case 'answered':
        return result;
      case 'failed':
        return { kind: 'exhausted', last: result.failure };
      case 'skipped':
        if (result.coolsInMs !== null) this.#cooling.set(target, result.coolsInMs);
        return { kind: 'exhausted', last: null };
    }
  }

  async #inTurn(
    children: Iterable<TreeNode<T>>,
    onStatusCodes: ReadonlySet<number> | null,
  ): Promise<NodeEnd<A>> {
    let last: { kind: FailureKind; status: number | null } | null = null;
    for (const child of children) {
      const end = await this.visit(child);
      if (end.kind !== 'exhausted') return end;
      if (end.last === null) continue;
      last = end.last;
      if (!goesOn(end.last, onStatusCodes)) return { kind: 'stopped' };
    }
    return { kind: 'exhausted', last };
  }

  #byWeight(node: LoadBalanceNode<T>): Promise<NodeEnd<A>> {
    return this.#inTurn(drawByWeight(node.children, this.#options.chance), node.onStatusCodes);
  }
}

/**
 * Does the request go on to the next child after this failure? The table says so, or a strategy's `on_status_codes` in its place for
 * what has a status; credentials refused always keep to the table.
 */
export function goesOn(
  failure: { kind: FailureKind; status: number | null },
  onStatusCodes: ReadonlySet<number> | null,
): boolean {
  const { kind, status } = failure;
  if (onStatusCodes === null || status === null || kind === 'credentials_refused')
    return OUTCOME_RULES[kind].next;
  if (kind === 'client_gone' || kind === 'deadline' || kind === 'shutdown') return false;
  return onStatusCodes.has(status) || (status === 529 && onStatusCodes.has(503));
}

/** All children, each time one drawn by weight among those that are left; those of weight 0 last, as they stand. */
export function* drawByWeight<N>(
  children: readonly { weight: number; node: N }[],
  chance: Chance,
): Generator<N, void, void> {
  const left = children.filter(({ weight }) => weight > 0);
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    let point = chance() * total;
    let index = left.findIndex(({ weight }) => {
      point -= weight;
      return point < 0;
    });
    // Rounding can leave the point at the very end.
    if (index < 0) index = left.length - 1;
    const [drawn] = left.splice(index, 1);
    if (drawn !== undefined) yield drawn.node;
  }
  for (const { weight, node } of children) if (weight === 0) yield node;
}
