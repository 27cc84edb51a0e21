import { targetsOf } from './map-tree.ts';
import type { Measures } from './measures.ts';
import type { LoadBalanceNode, TreeNode } from './tree.ts';

/**
 * All children in the order that the value gives them: rendezvous hashing. Each child gets a score that depends on the value and on
 * itself alone, so whatever becomes of one leaves the order of the others as it was: when one goes, only what was its own moves; when
 * one comes, it takes its share from all, and nothing else moves. First of all is each in proportion to its weight. Weight 0 comes last.
 */
export function* byRendezvous<T>(
  node: LoadBalanceNode<T>,
  value: string,
  measures: Pick<Measures<T>, 'id'>,
): Generator<TreeNode<T>, void, void> {
  const { children } = node;
  const seeds = seedsOf(node, measures);
  const [high, low] = hash(value);
  const scores = children.map(({ weight }, index) =>
    score(high ^ (seeds[2 * index] ?? 0), low ^ (seeds[2 * index + 1] ?? 0), weight),
  );
  // There are few children, and hardly ever is more than one asked for: nothing is sorted.
  for (let left = children.length; left > 0; left--) {
    let best = -1;
    for (let index = 0; index < scores.length; index++) {
      if (!isTaken(scores[index]) && (best < 0 || comesBefore(children, scores, index, best))) best = index;
    }
    scores[best] = Number.NaN;
    yield (children[best] as { node: TreeNode<T> }).node;
  }
}

function isTaken(score: number | undefined): boolean {
  return Number.isNaN(score);
}

function comesBefore(
  children: readonly { weight: number }[],
  scores: readonly number[],
  one: number,
  other: number,
): boolean {
  const spare = children[one]?.weight === 0;
  if (spare !== (children[other]?.weight === 0)) return !spare;
  return (scores[one] as number) < (scores[other] as number);
}

/**
 * The lowest comes first. As the waiting times of an exponential distribution whose rate is the weight: the shortest of several is
 * each one's in proportion to its rate, and a change of one rate changes nothing between the others.
 */
function score(high: number, low: number, weight: number): number {
  // 52 bits and a half, so that it is never 0 nor 1.
  const point = (mixed(high, low) * 2 ** 20 + (mixed(low, high) >>> 12) + 0.5) / 2 ** 52;
  return -Math.log(point) / (weight > 0 ? weight : 1);
}

/** By node, for as long as its configuration lives. */
const SEEDS = new WeakMap<object, Int32Array>();

/** Two numbers for each child: what tells it from the others, wherever it stands in whichever gateway's file. */
function seedsOf<T>(node: LoadBalanceNode<T>, measures: Pick<Measures<T>, 'id'>): Int32Array {
  const known = SEEDS.get(node);
  if (known !== undefined) return known;
  const seeds = new Int32Array(2 * node.children.length);
  const seen = new Map<string, number>();
  for (const [index, child] of node.children.entries()) {
    const leaves = [...targetsOf(child.node)].map((leaf) => measures.id(leaf)).join('\n');
    const occurrence = (seen.get(leaves) ?? 0) + 1;
    seen.set(leaves, occurrence);
    seeds.set(hash(`${leaves}\n${occurrence}`), 2 * index);
  }
  SEEDS.set(node, seeds);
  return seeds;
}

/** 64 bits in two halves, each FNV-1a's way with an odd factor of its own. Not for secrets. */
function hash(text: string): [high: number, low: number] {
  let high = 0x811c9dc5;
  let low = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ code, 0x5bd1e995);
  }
  return [mixed(high, low) | 0, mixed(low, high) | 0];
}

/** MurmurHash3's last steps, over both halves: each bit that goes in changes about half of those that come out. 32 bits, unsigned. */
function mixed(one: number, other: number): number {
  let bits = one ^ Math.imul(other ^ (other >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
