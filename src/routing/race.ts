import { Cancellation } from '../core/cancellation.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { HedgeBudget } from './hedge.ts';
import { endAfter, type NodeEnd, SUPERSEDED, type WalkFailure } from './node-end.ts';
import type { FallbackNode, TreeNode } from './tree.ts';

/** What a race must know of the walk that it is a part of. */
export interface RaceOptions<T, A> {
  clock: Clock;
  /** Of the walk up to this node: each child gets one of its own, which ends with it. */
  cancellation: Cancellation;
  budget: HedgeBudget;
  /** Never throws at once: it may be called by a timer, where nobody would catch it. */
  visit(child: TreeNode<T>, cancellation: Cancellation): Promise<NodeEnd<A>>;
  /** How long a child may be silent before the next is started too. Milliseconds; null: nobody can say yet, so it is not. */
  patience(child: TreeNode<T>): number | null;
  /** Lets go of an answer that came too late. */
  discard(answer: A): void;
  hedged(what: 'started' | 'won'): void;
}

/** One child that is being asked, or has failed out of turn. */
interface Runner<T, A> {
  child: TreeNode<T>;
  /** It was started beside another one. */
  isHedge: boolean;
  startedAt: number;
  cancellation: Cancellation;
  /** How it ended, kept until those before it have ended as well; null: it is under way. */
  end: NodeEnd<A> | { kind: 'threw'; error: unknown } | null;
}

/** Asks the children of a node in order, as any fallback; where one is silent for long, the next beside it. Rejects only where a visit did. */
export function race<T, A>(node: FallbackNode<T>, options: RaceOptions<T, A>): Promise<NodeEnd<A>> {
  return new Promise((resolve, reject) => new Race(node, options, resolve, reject).start());
}

/**
 * At most two children are under way. The first answer wins, and the other child is cancelled. Failures are judged in the order of the
 * children, as if one had been asked after the other: what would have ended the request without a hedge ends it, and a hedge's failure
 * waits until the child before it has failed too.
 */
class Race<T, A> {
  readonly #node: FallbackNode<T>;
  readonly #options: RaceOptions<T, A>;
  readonly #resolve: (end: NodeEnd<A>) => void;
  readonly #reject: (error: unknown) => void;
  /** In the order of the children: the one that is being asked, and its hedge. Between them, hedges that turned out to be of no use. */
  readonly #runners: Runner<T, A>[] = [];
  #next = 0;
  #last: WalkFailure | null = null;
  #timer: Timer | null = null;
  #over = false;

  constructor(
    node: FallbackNode<T>,
    options: RaceOptions<T, A>,
    resolve: (end: NodeEnd<A>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#node = node;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    this.#options.budget.begun();
    try {
      this.#judge();
    } catch (error) {
      this.#finish({ kind: 'threw', error });
    }
  }

  /** Starts the next child; false if there is none. */
  #run(isHedge: boolean): boolean {
    const child = this.#node.children[this.#next];
    if (child === undefined) return false;
    this.#next++;
    const { clock, cancellation: parent, visit } = this.#options;
    const cancellation = new Cancellation();
    parent.add(cancellation);
    const runner: Runner<T, A> = { child, isHedge, startedAt: clock.now(), cancellation, end: null };
    this.#runners.push(runner);
    visit(child, cancellation)
      .then(
        (end) => this.#ended(runner, end),
        (error) => this.#ended(runner, { kind: 'threw', error }),
      )
      .catch((error) => this.#finish({ kind: 'threw', error }));
    this.#watch(runner);
    return true;
  }

  #ended(runner: Runner<T, A>, end: NonNullable<Runner<T, A>['end']>): void {
    if (runner.isHedge) this.#account(end);
    if (this.#over) {
      if (end.kind === 'answered') this.#options.discard(end.answer);
      return;
    }
    runner.end = end;
    if (end.kind === 'answered') {
      if (runner.isHedge) this.#options.hedged('won');
      this.#finish(end, runner);
    } else if (runner !== this.#runners[0] && isSkipped(end)) this.#hedge();
    else this.#judge();
  }

  /** Of a hedge, what counts is whether anything was sent for it. */
  #account(end: NonNullable<Runner<T, A>['end']>): void {
    if (isSkipped(end)) this.#options.budget.giveBack();
    else this.#options.hedged('started');
  }

  /** Goes on from whatever has ended, in the order of the children. */
  #judge(): void {
    for (let runner = this.#runners[0]; runner?.end != null; runner = this.#runners[0]) {
      this.#runners.shift();
      this.#leave(runner);
      if (runner.end.kind === 'threw') {
        this.#finish(runner.end);
        return;
      }
      const end = endAfter(runner.end, this.#node.onStatusCodes);
      if (end !== null) {
        this.#finish(end);
        return;
      }
      if (runner.end.kind === 'exhausted') this.#last = runner.end.last ?? this.#last;
    }
    const left = this.#runners[0];
    if (left !== undefined) this.#watch(left);
    else if (this.#options.cancellation.reason === 'superseded') this.#finish(SUPERSEDED);
    else if (!this.#run(false)) this.#finish({ kind: 'exhausted', last: this.#last, declined: false });
  }

  /** Starts the time after which the child that is being asked, and no other, gets a hedge. */
  #watch(runner: Runner<T, A>): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#runners.length > 1 || this.#next >= this.#node.children.length) return;
    const { clock, patience } = this.#options;
    const ms = patience(runner.child);
    if (ms === null) return;
    const left = Math.max(0, runner.startedAt + ms - clock.now());
    this.#timer = clock.schedule(left, () => this.#hedge());
  }

  #hedge(): void {
    const { cancellation, budget } = this.#options;
    if (this.#next >= this.#node.children.length || cancellation.reason !== null) return;
    if (budget.take()) this.#run(true);
  }

  #leave({ cancellation }: Runner<T, A>): void {
    this.#options.cancellation.remove(cancellation);
  }

  /** The winner stays tied to the request: its stream goes on. */
  #finish(end: NonNullable<Runner<T, A>['end']>, winner: Runner<T, A> | null = null): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#options.budget.over();
    for (const runner of this.#runners) {
      if (runner === winner) continue;
      this.#leave(runner);
      runner.cancellation.cancel('superseded');
    }
    if (end.kind === 'threw') this.#reject(end.error);
    else this.#resolve(end);
  }
}

/** Nothing was sent. */
function isSkipped(end: { kind: string; last?: WalkFailure | null }): boolean {
  return end.kind === 'exhausted' && end.last === null;
}
