import type { Chance } from '../core/clock.ts';
import { targetsOf } from './map-tree.ts';
import type { Measures } from './measures.ts';
import { byRendezvous } from './rendezvous.ts';
import type { LoadBalanceNode, TreeNode } from './tree.ts';

/** What a load balancer chooses by. */
export interface Choice<T> {
  measures: Measures<T>;
  chance: Chance;
  /** What requests must have in common to keep to one child; null: this one keeps to none. */
  sticky: string | null;
}

type Child<T> = LoadBalanceNode<T>['children'][number];

/** A child that could serve now. */
interface Candidate<T> {
  child: Child<T>;
  weight: number;
  /** What it is judged by: the first of its leaves that could serve. */
  leaf: T;
}

/**
 * All children, the first choice first. Each is chosen when it is asked for, by what is known then. Those that cannot serve now come
 * after those that can, and weight 0 after all others.
 *
 * With a sticky value the order is the value's own, the same in every gateway. A child that cannot serve keeps its place in it: the
 * walk passes it over, and is back with it as soon as it can.
 */
export function inOrder<T>(node: LoadBalanceNode<T>, choice: Choice<T>): Iterable<TreeNode<T>> {
  if (choice.sticky !== null) return byRendezvous(node, choice.sticky, choice.measures);
  switch (node.by) {
    // The walk passes over who cannot serve, and that leaves the others' shares as they should be: nobody has to be judged first.
    case 'weight':
      return drawByWeight(node.children, choice.chance);
    case 'latency':
      return chosenInTurn(node.children, choice, theFasterOfTwo);
    case 'least_busy':
      return chosenInTurn(node.children, choice, theLeastBusy);
    case 'cost':
      return chosenInTurn(node.children, choice, theCheapest);
    case 'headroom':
      return chosenInTurn(node.children, choice, byHeadroom);
  }
}

/** All children, each time one drawn by weight among those that are left; those of weight 0 last, as they stand. */
export function* drawByWeight<N>(
  children: readonly { weight: number; node: N }[],
  chance: Chance,
): Generator<N, void, void> {
  const left = children.filter(({ weight }) => weight > 0);
  while (left.length > 0) {
    const drawn = draw(left, weightOf, chance);
    left.splice(left.indexOf(drawn), 1);
    yield drawn.node;
  }
  for (const { weight, node } of children) if (weight === 0) yield node;
}

function* chosenInTurn<T>(
  children: readonly Child<T>[],
  choice: Choice<T>,
  choose: (candidates: Candidate<T>[], choice: Choice<T>) => Candidate<T>,
): Generator<TreeNode<T>, void, void> {
  const left = children.filter(({ weight }) => weight > 0);
  while (left.length > 0) {
    const candidates = candidatesOf(left, choice.measures);
    // If nobody can, any order will do: the walk passes them all over.
    if (candidates.length === 0) break;
    const { child } = candidates.length === 1 ? (candidates[0] as Candidate<T>) : choose(candidates, choice);
    left.splice(left.indexOf(child), 1);
    yield child.node;
  }
  for (const { node } of left) yield node;
  for (const { weight, node } of children) if (weight === 0) yield node;
}

function candidatesOf<T>(children: readonly Child<T>[], measures: Measures<T>): Candidate<T>[] {
  const candidates: Candidate<T>[] = [];
  for (const child of children) {
    for (const leaf of child.node.kind === 'target' ? [child.node.target] : targetsOf(child.node)) {
      if (!measures.usable(leaf)) continue;
      candidates.push({ child, weight: child.weight, leaf });
      break;
    }
  }
  return candidates;
}

/**
 * Power of two choices: of two that are drawn by weight, the one with the shorter average. It finds the fast ones nearly as well as a
 * search for the fastest would, and does not send everybody there at once.
 */
function theFasterOfTwo<T>(candidates: Candidate<T>[], { measures, chance }: Choice<T>): Candidate<T> {
  const one = draw(candidates, weightOf, chance);
  candidates.splice(candidates.indexOf(one), 1);
  const other = draw(candidates, weightOf, chance);
  const ofOne = measures.latency(one.leaf);
  const ofOther = measures.latency(other.leaf);
  if (ofOne !== null && ofOther !== null) return ofOther < ofOne ? other : one;
  if (ofOne !== null) return isWorthALook(other, measures, chance) ? other : one;
  if (ofOther !== null) return isWorthALook(one, measures, chance) ? one : other;
  return load(other, measures) < load(one, measures) ? other : one;
}

/**
 * Of a target of which nothing is known: is this request to find out? The more are under way there already, the less likely, so that
 * one that turns out to be silent has not swallowed all that came in the meantime: of n requests, about √2n.
 */
function isWorthALook<T>({ leaf }: Candidate<T>, measures: Measures<T>, chance: Chance): boolean {
  const underWay = measures.inFlight(leaf);
  return underWay <= 0 || chance() * (1 + underWay) < 1;
}

function theLeastBusy<T>(candidates: Candidate<T>[], { measures, chance }: Choice<T>): Candidate<T> {
  return draw(
    lowest(candidates, (candidate) => load(candidate, measures)),
    () => 1,
    chance,
  );
}

/** Requests under way for each unit of weight, if it got this one too. */
function load<T>({ leaf, weight }: Candidate<T>, measures: Measures<T>): number {
  return (measures.inFlight(leaf) + 1) / weight;
}

function theCheapest<T>(candidates: Candidate<T>[], { measures, chance }: Choice<T>): Candidate<T> {
  const cheapest = lowest(candidates, ({ leaf }) => measures.cost(leaf) ?? Infinity);
  return draw(cheapest, weightOf, chance);
}

/**
 * Drawn, not simply the one with the most left: what is known is old by a request or more, and all gateways know the same. If each
 * took the first of the list, they would all go there together, and then all to the next.
 */
function byHeadroom<T>(candidates: Candidate<T>[], { measures, chance }: Choice<T>): Candidate<T> {
  const shares = new Map<Candidate<T>, number>();
  let total = 0;
  for (const candidate of candidates) {
    const share = candidate.weight * (measures.headroom(candidate.leaf) ?? 1);
    shares.set(candidate, share);
    total += share;
  }
  if (total <= 0) return draw(candidates, weightOf, chance);
  return draw(candidates, (candidate) => shares.get(candidate) ?? 0, chance);
}

/** Those with the lowest value. `items` must not be empty. */
function lowest<I>(items: readonly I[], measure: (item: I) => number): I[] {
  let best = Infinity;
  let found: I[] = [];
  for (const item of items) {
    const value = measure(item);
    if (value < best) {
      best = value;
      found = [item];
    } else if (value === best) found.push(item);
  }
  return found.length > 0 ? found : [...items];
}

function weightOf({ weight }: { weight: number }): number {
  return weight;
}

/** One of them, with a chance in proportion to its share. `items` must not be empty, nor all shares 0. */
function draw<I>(items: readonly I[], shareOf: (item: I) => number, chance: Chance): I {
  const total = items.reduce((sum, item) => sum + shareOf(item), 0);
  let point = chance() * total;
  // Rounding can leave the point at the very end.
  let last = items[0] as I;
  for (const item of items) {
    const share = shareOf(item);
    if (share <= 0) continue;
    point -= share;
    last = item;
    if (point < 0) break;
  }
  return last;
}
