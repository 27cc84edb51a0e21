import type { Cancellation } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import { OUTCOME_RULES } from '../core/outcome.ts';
import type { Hedges } from './hedge.ts';
import { targetsOf } from './map-tree.ts';
import { goesOn, type NodeEnd, SUPERSEDED, type WalkFailure } from './node-end.ts';
import { race } from './race.ts';
import { type CachedNode, type HedgeAfter, isCached, type RacedNode, type TreeNode } from './tree.ts';
import { type Level, type Traveller, Way } from './way.ts';

/** What the walk must know of a call to one target. */
export type CallResult<A> =
  | { kind: 'answered'; answer: A }
  | { kind: 'failed'; failure: WalkFailure }
  /** Nothing was sent. `coolsInMs`: when it could be, if only a cooldown stands in the way. */
  | { kind: 'skipped'; coolsInMs: number | null };

/** The request that walks, as far as the walk must know it. */
export interface Walking<T, A> extends Traveller<T> {
  readonly clock: Clock;
  /** Of the request. Children that may run beside each other get one of their own each, which ends with it. */
  readonly cancellation: Cancellation;
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
  hedged(what: 'started' | 'won'): void;
  /** A failure ended the request by the table or by a strategy: the walk returns null, and what it has not asked is not to be asked. */
  ended(): void;
}

/** A target that was skipped for a cooldown alone. */
interface Cooling<T> {
  target: T;
  /** When it may be asked, on the clock's time: what is asked meanwhile takes time of its own. */
  readyAt: number;
  /** The nearest strategy above it. */
  level: Level<T> | null;
}

/**
 * Walks a tree until a target answers, a failure ends the request, or nothing is left; then waits for cooldowns, the shortest
 * first, where that is allowed. Returns the answer, or null: why, the caller has seen.
 */
export function walk<T, A>(root: TreeNode<T>, request: Walking<T, A>): Promise<A | null> {
  const walker = new Walker(request);
  return walker.visit(root, null, request.cancellation).then((end) => walker.conclude(end));
}

/** Nobody asks again sooner whether there is room now. Milliseconds. */
const SHORTEST_REST = 10;

class Walker<T, A> {
  readonly #request: Walking<T, A>;
  readonly #cooling: Cooling<T>[] = [];

  constructor(request: Walking<T, A>) {
    this.#request = request;
  }

  /** Walks a part of the tree. `outside`: the strategy above it; `cancellation`: of this part of the walk. */
  async visit(node: TreeNode<T>, outside: Level<T> | null, cancellation: Cancellation): Promise<NodeEnd<A>> {
    const request = this.#request;
    const way = new Way<T, A>(node, outside, request);
    for (let { stop } = way; stop !== null; stop = way.stop) {
      // Nothing more is begun here when another part of the walk has the answer.
      if (cancellation.reason === 'superseded') return SUPERSEDED;
      const { level } = way;
      if (isCached(stop)) way.ended(await this.#lookUp(stop, level, cancellation));
      else if (stop.kind === 'fallback') way.ended(await this.#race(stop, level, cancellation));
      else way.ended(this.#endOf(stop.target, level, await request.call(stop.target, cancellation)));
    }
    return way.end;
  }

  async #lookUp(
    node: CachedNode<T>,
    outside: Level<T> | null,
    cancellation: Cancellation,
  ): Promise<NodeEnd<A>> {
    const answer = await this.#request.lookUp(node, cancellation);
    return answer === null
      ? this.visit({ ...node, cache: null }, outside, cancellation)
      : { kind: 'answered', answer };
  }

  /** What comes of the request when all of the tree has ended so. */
  conclude(end: NodeEnd<A>): A | null | Promise<A | null> {
    if (end.kind === 'answered') return end.answer;
    if (end.kind === 'exhausted' && !end.declined) return this.#waitForCooldowns();
    this.#request.ended();
    return null;
  }

  /** When nothing else is left: the targets that were only cooling down, or full, each as soon as it may be asked; again where it then is so once more. */
  async #waitForCooldowns(): Promise<A | null> {
    const request = this.#request;
    const { clock, cancellation } = request;
    const since = clock.now();
    const cooling = this.#cooling;
    for (;;) {
      const next = cooling.sort((a, b) => a.readyAt - b.readyAt).shift();
      if (next === undefined) return null;
      const { target, readyAt, level } = next;
      const now = clock.now();
      if (!(await request.waitFor(target, Math.max(0, readyAt - now), now - since))) continue;
      const result = await request.call(target, cancellation);
      if (result.kind === 'answered') return result.answer;
      if (result.kind === 'failed' && !allLetGoOn(result.failure, level)) {
        request.ended();
        return null;
      }
      // Others that waited for the same moment were first.
      if (result.kind === 'skipped' && result.coolsInMs !== null) {
        cooling.push({ target, readyAt: clock.now() + Math.max(result.coolsInMs, SHORTEST_REST), level });
      }
    }
  }

  #endOf(target: T, level: Level<T> | null, result: CallResult<A>): NodeEnd<A> {
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
          this.#cooling.push({ target, readyAt: this.#request.clock.now() + result.coolsInMs, level });
        }
        return { kind: 'exhausted', last: null, declined: false };
    }
  }

  #race(node: RacedNode<T>, above: Level<T> | null, cancellation: Cancellation): Promise<NodeEnd<A>> {
    const request = this.#request;
    const { onStatusCodes, hedge } = node;
    // Who is asked when, the race says itself.
    const level: Level<T> = { above, onStatusCodes, left: [].values(), last: null };
    return race(node, {
      clock: request.clock,
      cancellation,
      budget: request.hedges.of(hedge),
      visit: (child, ofChild) => this.visit(child, level, ofChild),
      patience: (child) => this.#patience(child, hedge.after),
      discard: (answer) => request.discard(answer),
      hedged: (what) => request.hedged(what),
    });
  }

  /** A child that has several targets is taken to be as fast as the first of them. */
  #patience(child: TreeNode<T>, after: HedgeAfter): number | null {
    if ('ms' in after) return after.ms;
    const { value: first } = targetsOf(child).next();
    return first === undefined ? null : this.#request.measures.quantile(first, after.quantile);
  }
}

/** What the strategies above a target would do about its failure, one after the other from the nearest. */
function allLetGoOn<T>(failure: WalkFailure, nearest: Level<T> | null): boolean {
  let declined = false;
  for (let level = nearest; level !== null; level = level.above) {
    declined = !goesOn(failure, level.onStatusCodes);
    if (declined && level.onStatusCodes !== null) return false;
  }
  return !declined;
}
