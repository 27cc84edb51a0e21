import type { Chance, Clock } from '../core/clock.ts';
import { type FailureKind, OUTCOME_RULES } from '../core/outcome.ts';
import type { Facts } from './query.ts';
import type { TreeNode } from './tree.ts';

/** What the walk must know of a call to one target. */
export type CallResult<A> =
  | { kind: 'answered'; answer: A }
  | { kind: 'failed'; failure: { kind: FailureKind; status: number | null } }
  /** Nothing was sent. `coolsInMs`: when it could be, if only a cooldown stands in the way. */
  | { kind: 'skipped'; coolsInMs: number | null };

export interface WalkOptions<T, A> {
  /** What conditions ask of the request; called where there are conditions. */
  facts(): Facts;
  clock: Pick<Clock, 'now'>;
  chance: Chance;
  /** Calls one target. Told of every visit in order, so the caller can keep the story. */
  call(target: T): Promise<CallResult<A>>;
  /** Waits for a cooldown of so many milliseconds if that target's settings allow it. False: not allowed, or no longer wanted. */
  waitFor(target: T, ms: number): Promise<boolean>;
}

/** A strategy's `on_status_codes`. */
type Codes = ReadonlySet<number> | null;

/** A target that was skipped for a cooldown alone. */
interface Cooling<T> {
  target: T;
  /** When it may be asked, on the clock's time: what is asked meanwhile takes time of its own. */
  readyAt: number;
  /** Of every strategy above it. */
  above: readonly Codes[];
}

/**
 * How a node ended. `stopped`: an `on_status_codes` ended the request, whatever else there is in the tree. `declined`: by the table no
 * further target is asked, unless a strategy above lists the status.
 */
type NodeEnd<A> =
  | { kind: 'answered'; answer: A }
  | { kind: 'stopped' }
  /** `last`: the last failure, null if all was skipped. */
  | {
      kind: 'exhausted';
      last: { kind: FailureKind; status: number | null } | null;
      declined: boolean;
    };

/**
 * Walks a tree until a target answers, a failure ends the request, or nothing is left; then waits for cooldowns, the shortest
 * first, where that is allowed. Returns the answer, or null: why, the caller has seen.
 */
export async function walk<T, A>(root: TreeNode<T>, options: WalkOptions<T, A>): Promise<A | null> {
  const walker = new Walker(options);
  const end = await walker.visit(root, []);
  if (end.kind === 'answered') return end.answer;
  return end.kind === 'stopped' || end.declined ? null : walker.waitForCooldowns();
}

class Walker<T, A> {
  readonly #options: WalkOptions<T, A>;
  readonly #cooling: Cooling<T>[] = [];

  constructor(options: WalkOptions<T, A>) {
    this.#options = options;
  }

  visit(node: TreeNode<T>, above: readonly Codes[]): Promise<NodeEnd<A>> {
    switch (node.kind) {
      case 'target':
        return this.#call(node.target, above);
      case 'fallback':
        return this.#inTurn(node.children, node.onStatusCodes, above);
      case 'loadbalance':
        return this.#inTurn(drawByWeight(node.children, this.#options.chance), node.onStatusCodes, above);
      case 'conditional': {
        const facts = this.#options.facts();
        const chosen = node.conditions.find(({ query }) => query.matches(facts))?.child ?? node.default;
        return chosen === null
          ? Promise.resolve({ kind: 'exhausted', last: null, declined: false })
          : this.visit(chosen, above);
      }
    }
  }

  /** When nothing else is left: one visit to each target that was only cooling down, as soon as it may be asked. */
  async waitForCooldowns(): Promise<A | null> {
    const { clock, waitFor, call } = this.#options;
    for (const { target, readyAt, above } of this.#cooling.sort((a, b) => a.readyAt - b.readyAt)) {
      if (!(await waitFor(target, Math.max(0, readyAt - clock.now())))) continue;
      const result = await call(target);
      if (result.kind === 'answered') return result.answer;
      if (result.kind === 'failed' && !allLetGoOn(result.failure, above)) return null;
    }
    return null;
  }

  async #call(target: T, above: readonly Codes[]): Promise<NodeEnd<A>> {
    const { clock, call } = this.#options;
    const result = await call(target);
    switch (result.kind) {
      case 'answered':
        return result;
      case 'failed':
        return {
          kind: 'exhausted',
          last: result.failure,
          declined: !OUTCOME_RULES[result.failure.kind].next,
        };
      case 'skipped':
        if (result.coolsInMs !== null) {
          this.#cooling.push({ target, readyAt: clock.now() + result.coolsInMs, above });
        }
        return { kind: 'exhausted', last: null, declined: false };
    }
  }

  async #inTurn(
    children: Iterable<TreeNode<T>>,
    onStatusCodes: Codes,
    above: readonly Codes[],
  ): Promise<NodeEnd<A>> {
    const inside = [...above, onStatusCodes];
    let last: { kind: FailureKind; status: number | null } | null = null;
    for (const child of children) {
      const end = await this.visit(child, inside);
      if (end.kind !== 'exhausted') return end;
      if (end.last === null) continue;
      last = end.last;
      if (goesOn(last, onStatusCodes)) continue;
      return onStatusCodes === null ? { kind: 'exhausted', last, declined: true } : { kind: 'stopped' };
    }
    return { kind: 'exhausted', last, declined: false };
  }
}

/** What the strategies above a target, the root first, would do about its failure, one after the other from the nearest. */
function allLetGoOn(failure: { kind: FailureKind; status: number | null }, above: readonly Codes[]): boolean {
  let declined = false;
  for (const codes of above.toReversed()) {
    declined = !goesOn(failure, codes);
    if (declined && codes !== null) return false;
  }
  return !declined;
}

/**
 * Does the request go on to the next child after this failure? The table says so, or a strategy's `on_status_codes` in its place for
 * what has a status; credentials refused always keep to the table.
 */
export function goesOn(failure: { kind: FailureKind; status: number | null }, onStatusCodes: Codes): boolean {
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
