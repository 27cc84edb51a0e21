import type { Chance } from '../core/clock.ts';
import { inOrder } from './balance.ts';
import type { Measures } from './measures.ts';
import { type Codes, endAfter, type NodeEnd, type WalkFailure } from './node-end.ts';
import type { Facts } from './query.ts';
import {
  type CachedNode,
  isCached,
  isRaced,
  type RacedNode,
  type TargetNode,
  type TreeNode,
} from './tree.ts';

/** What the request is asked on its way. */
export interface Traveller<T> {
  /** What conditions ask of the request; called where there are conditions. */
  facts(): Facts;
  readonly chance: Chance;
  /** Asked for where targets have to be judged. */
  readonly measures: Measures<T>;
  /** What keeps to one child, by the name of the header or field; null: the request has none. */
  stickyValue(name: string): string | null;
}

/** Who is asked: a target, or what sees by itself to those below it. */
export type Stop<T> = TargetNode<T> | RacedNode<T> | CachedNode<T>;

/** A strategy that the walk is inside of. */
export interface Level<T> {
  /** The one above; null: there is none. */
  readonly above: Level<T> | null;
  readonly onStatusCodes: Codes;
  /** The children that are still to be asked. */
  readonly left: Iterator<TreeNode<T>>;
  /** The last failure of one that has been; null: all were skipped. */
  last: WalkFailure | null;
}

/** How a way ends on which nobody is to be asked. */
const NOBODY: NodeEnd<never> = { kind: 'exhausted', last: null, declined: false };

/**
 * The way through a tree, or through a part of one: says who is to be asked, and is told how that ended. Strategies and conditions it goes
 * through by itself. It stops at targets, at races, and where an answer may be kept.
 */
export class Way<T, A> {
  /** To be asked now; null: the way is over, and `end` says how. */
  stop: Stop<T> | null = null;
  /** The nearest strategy above the stop. */
  level: Level<T> | null;
  end: NodeEnd<A> = NOBODY;
  /** Above all of this part. */
  readonly #outside: Level<T> | null;
  readonly #traveller: Traveller<T>;

  constructor(tree: TreeNode<T>, outside: Level<T> | null, traveller: Traveller<T>) {
    this.level = outside;
    this.#outside = outside;
    this.#traveller = traveller;
    this.#enter(tree);
  }

  /** What was to be asked has been, and ended so. */
  ended(how: NodeEnd<A>): void {
    let end = how;
    for (let level = this.level; level !== null && level !== this.#outside; level = level.above) {
      const judged = endAfter(end, level.onStatusCodes);
      if (judged !== null) {
        end = judged;
        continue;
      }
      if (end.kind === 'exhausted') level.last = end.last ?? level.last;
      if (this.#enterNext(level)) return;
      end = { kind: 'exhausted', last: level.last, declined: false };
    }
    this.stop = null;
    this.end = end;
  }

  /** Goes down to the first that is to be asked; false: there is none. */
  #enter(node: TreeNode<T>): boolean {
    if (node.kind === 'target' || isRaced(node) || isCached(node)) {
      this.stop = node;
      return true;
    }
    switch (node.kind) {
      case 'fallback':
        return this.#enterFirst(node.onStatusCodes, node.children);
      case 'loadbalance': {
        const { measures, chance } = this.#traveller;
        const sticky = node.sticky === null ? null : this.#traveller.stickyValue(node.sticky);
        return this.#enterFirst(node.onStatusCodes, inOrder(node, { measures, chance, sticky }));
      }
      case 'conditional': {
        const facts = this.#traveller.facts();
        const chosen = node.conditions.find(({ query }) => query.matches(facts))?.child ?? node.default;
        return chosen !== null && this.#enter(chosen);
      }
    }
  }

  #enterFirst(onStatusCodes: Codes, children: Iterable<TreeNode<T>>): boolean {
    const left = children[Symbol.iterator]();
    return this.#enterNext({ above: this.level, onStatusCodes, left, last: null });
  }

  /** Goes down into the next child that has somebody to be asked; false: there is none. */
  #enterNext(level: Level<T>): boolean {
    this.level = level;
    for (let child = level.left.next(); child.done !== true; child = level.left.next()) {
      if (this.#enter(child.value)) return true;
    }
    this.level = level.above;
    return false;
  }
}
