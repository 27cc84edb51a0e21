import type { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { OUTCOME_RULES } from '../core/outcome.ts';
import { inOrder } from './balance.ts';
import type { Hedges } from './hedge.ts';
import { targetsOf } from './map-tree.ts';
import type { Measures } from './measures.ts';
import { type Codes, endAfter, goesOn, type NodeEnd, SUPERSEDED, type WalkFailure } from './node-end.ts';
import type { Facts } from './query.ts';
import { race } from './race.ts';
import {
  type CachedNode,
  type FallbackNode,
  type HedgeAfter,
  type HedgeSettings,
  isCached,
  type TreeNode,
} from './tree.ts';

/** What the walk must know of a call to one target. */
export type CallResult<A> =
  | { kind: 'answered'; answer: A }
  | { kind: 'failed'; failure: WalkFailure }
  /** Nothing was sent. `coolsInMs`: when it could be, if only a cooldown stands in the way. */
  | { kind: 'skipped'; coolsInMs: number | null };

/** The request that walks, as far as the walk must know it. */
export interface Walking<T, A> {
  /** What conditions ask of the request; called where there are conditions. */
  facts(): Facts;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Of the request. Children that may run beside each other get one of their own each, which ends with it. */
  readonly cancellation: Cancellation;
  /** Asked for where targets have to be judged. */
  readonly measures: Measures<T>;
  /** What keeps to one child, by the name of the header or field; null: the request has none. */
  stickyValue(name: string): string | null;
  /** Of the process. */
  readonly hedges: Hedges;
  /** Looks for an answer that is kept, where a node says so; null: there is none, the node is visited. `cancellation`: of this part of the walk. */
  lookUp(node: CachedNode<T>, cancellation: Cancellation): Promise<A | null>;
  /**
   * Calls one target. Told of every visit in the order of their beginning, so the caller can keep the story. `cancellation`: of this
   * call, and of its answer for as long as that comes in; cancelled as `superseded` when another one has answered first.
   */
  call(target: T, cancellation: Cancellation): Promise<CallResult<A>>;
  /** An answer that came when another one had won already: let go of it. Its call has been cancelled. */
  discard(answer: A): void;
  /** Waits for a cooldown of so many milliseconds, after `waited` for others, if that target's settings allow it. False: not allowed, or no longer wanted. */
  waitFor(target: T, ms: number, waited: number): Promise<boolean>;
  /** A second target was asked beside a silent one, and something was sent for it (told when that is over); it answered first. */
  hedged?(label: string, what: 'started' | 'won'): void;
  /** A failure ended the request by the table or by a strategy: the walk returns null, and what it has not asked is not to be asked. */
  ended?(): void;
}

/** A target that was skipped for a cooldown alone. */
interface Cooling<T> {
  target: T;
  /** When it may be asked, on the clock's time: what is asked meanwhile takes time of its own. */
  readyAt: number;
  /** Of every strategy above it. */
  above: readonly Codes[];
}

/**
 * Walks a tree until a target answers, a failure ends the request, or nothing is left; then waits for cooldowns, the shortest
 * first, where that is allowed. Returns the answer, or null: why, the caller has seen.
 */
export async function walk<T, A>(root: TreeNode<T>, request: Walking<T, A>): Promise<A | null> {
  const walker = new Walker(request);
  const end = await walker.visit(root, [], request.cancellation);
  if (end.kind === 'answered') return end.answer;
  if (end.kind === 'exhausted' && !end.declined) return walker.waitForCooldowns();
  request.ended?.();
  return null;
}

/** Nobody asks again sooner whether there is room now. Milliseconds. */
const SHORTEST_REST = 10;

class Walker<T, A> {
  readonly #request: Walking<T, A>;
  readonly #cooling: Cooling<T>[] = [];

  constructor(request: Walking<T, A>) {
    this.#request = request;
  }

  /** `cancellation`: of this part of the walk. */
  visit(node: TreeNode<T>, above: readonly Codes[], cancellation: Cancellation): Promise<NodeEnd<A>> {
    return isCached(node) ? this.#lookUp(node, above, cancellation) : this.#visit(node, above, cancellation);
  }

  async #lookUp(
    node: CachedNode<T>,
    above: readonly Codes[],
    cancellation: Cancellation,
  ): Promise<NodeEnd<A>> {
    const answer = await this.#request.lookUp(node, cancellation);
    if (answer !== null) return { kind: 'answered', answer };
    return cancellation.reason === 'superseded' ? SUPERSEDED : this.#visit(node, above, cancellation);
  }

  #visit(node: TreeNode<T>, above: readonly Codes[], cancellation: Cancellation): Promise<NodeEnd<A>> {
    switch (node.kind) {
      case 'target':
        return this.#call(node.target, above, cancellation);
      case 'fallback':
        return node.hedge === null || node.children.length < 2
          ? this.#inTurn(node.children, node.onStatusCodes, above, cancellation)
          : this.#race(node, node.hedge, above, cancellation);
      case 'loadbalance': {
        const { measures, chance } = this.#request;
        const sticky = node.sticky === null ? null : this.#request.stickyValue(node.sticky);
        const children = inOrder(node, { measures, chance, sticky });
        return this.#inTurn(children, node.onStatusCodes, above, cancellation);
      }
      case 'conditional': {
        const facts = this.#request.facts();
        const chosen = node.conditions.find(({ query }) => query.matches(facts))?.child ?? node.default;
        return chosen === null
          ? Promise.resolve({ kind: 'exhausted', last: null, declined: false })
          : this.visit(chosen, above, cancellation);
      }
    }
  }

  /** When nothing else is left: the targets that were only cooling down, or full, each as soon as it may be asked; again where it then is so once more. */
  async waitForCooldowns(): Promise<A | null> {
    const request = this.#request;
    const { clock, cancellation } = request;
    const since = clock.now();
    const cooling = this.#cooling;
    for (;;) {
      const next = cooling.sort((a, b) => a.readyAt - b.readyAt).shift();
      if (next === undefined) return null;
      const { target, readyAt, above } = next;
      const now = clock.now();
      if (!(await request.waitFor(target, Math.max(0, readyAt - now), now - since))) continue;
      const result = await request.call(target, cancellation);
      if (result.kind === 'answered') return result.answer;
      if (result.kind === 'failed' && !allLetGoOn(result.failure, above)) {
        request.ended?.();
        return null;
      }
      // Others that waited for the same moment were first.
      if (result.kind === 'skipped' && result.coolsInMs !== null) {
        cooling.push({ target, readyAt: clock.now() + Math.max(result.coolsInMs, SHORTEST_REST), above });
      }
    }
  }

  async #call(target: T, above: readonly Codes[], cancellation: Cancellation): Promise<NodeEnd<A>> {
    return this.#endOf(target, above, await this.#request.call(target, cancellation));
  }

  #endOf(target: T, above: readonly Codes[], result: CallResult<A>): NodeEnd<A> {
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
          this.#cooling.push({ target, readyAt: this.#request.clock.now() + result.coolsInMs, above });
        }
        return { kind: 'exhausted', last: null, declined: false };
    }
  }

  async #inTurn(
    children: Iterable<TreeNode<T>>,
    onStatusCodes: Codes,
    above: readonly Codes[],
    cancellation: Cancellation,
  ): Promise<NodeEnd<A>> {
    const inside = [...above, onStatusCodes];
    let last: WalkFailure | null = null;
    for (const child of children) {
      // Nothing more is begun here when another part of the walk has the answer.
      if (cancellation.reason === 'superseded') return SUPERSEDED;
      // Most children are targets: a promise less for each.
      const ended =
        child.kind === 'target' && child.cache === null
          ? this.#endOf(child.target, inside, await this.#request.call(child.target, cancellation))
          : await this.visit(child, inside, cancellation);
      const end = endAfter(ended, onStatusCodes);
      if (end !== null) return end;
      if (ended.kind === 'exhausted') last = ended.last ?? last;
    }
    return { kind: 'exhausted', last, declined: false };
  }

  #race(
    node: FallbackNode<T>,
    hedge: HedgeSettings,
    above: readonly Codes[],
    cancellation: Cancellation,
  ): Promise<NodeEnd<A>> {
    const request = this.#request;
    const inside = [...above, node.onStatusCodes];
    return race(node, {
      clock: request.clock,
      cancellation,
      budget: request.hedges.of(hedge),
      visit: async (child, ofChild) => this.visit(child, inside, ofChild),
      patience: (child) => this.#patience(child, hedge.after),
      discard: (answer) => request.discard(answer),
      hedged: (what) => request.hedged?.(node.label, what),
    });
  }

  /** A child that has several targets is taken to be as fast as the first of them. */
  #patience(child: TreeNode<T>, after: HedgeAfter): number | null {
    if ('ms' in after) return after.ms;
    const { value: first } = targetsOf(child).next();
    return first === undefined ? null : this.#request.measures.quantile(first, after.quantile);
  }
}

/** What the strategies above a target, the root first, would do about its failure, one after the other from the nearest. */
function allLetGoOn(failure: WalkFailure, above: readonly Codes[]): boolean {
  let declined = false;
  for (const codes of above.toReversed()) {
    declined = !goesOn(failure, codes);
    if (declined && codes !== null) return false;
  }
  return !declined;
}
