/** What is made of the figures of rounds. */

/** NaN of no values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = known(values).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** Without NaN, which stands for what a round did not find. */
export function known(values: readonly number[]): number[] {
  return values.filter((value) => !Number.isNaN(value));
}

/** Each round by itself, as what slows the machine down for a while slows down both. */
export function perRound(
  values: readonly number[],
  yardstick: readonly number[],
  how: (value: number, yardstick: number) => number,
): number[] {
  return values.map((value, round) => how(value, yardstick[round] ?? Number.NaN));
}

/**
 * How likely two samples of one and the same thing lie as far apart as these, in either direction: the exact rank test of Mann and
 * Whitney. It looks at order alone, so one round that a busy machine spoiled counts for little. Meant for up to some tens of values.
 */
export function chanceOfOrder(one: readonly number[], other: readonly number[]): number {
  if (one.length === 0 || other.length === 0) return 1;
  let wins = 0;
  for (const a of one) for (const b of other) wins += a > b ? 1 : a === b ? 0.5 : 0;
  const pairs = one.length * other.length;
  const extreme = Math.floor(Math.min(wins, pairs - wins));
  const ways = orders(one.length, other.length);
  const all = ways.reduce((sum, count) => sum + count, 0);
  const asFar = ways.slice(0, extreme + 1).reduce((sum, count) => sum + count, 0);
  return Math.min(1, (2 * asFar) / all);
}

/** The least that `chanceOfOrder` can be with so many values: all of one sample beyond all of the other. */
export function leastChance(one: number, other: number): number {
  return Math.min(1, 2 / orders(one, other).reduce((sum, count) => sum + count, 0));
}

/** In how many of all orders of `n` and `m` values those of the first win 0, 1, 2 ... of the pairs. */
function orders(n: number, m: number): number[] {
  // ways[i]: for i values of the first sample and as many of the second as have been added. The largest of all belongs to the
  // first, and wins against all of the second, or to the second, and wins nothing for the first.
  let ways: number[][] = Array.from({ length: n + 1 }, () => [1]);
  for (let second = 1; second <= m; second++) {
    const next: number[][] = [[1]];
    for (let first = 1; first <= n; first++) {
      const counts = new Array<number>(first * second + 1).fill(0);
      for (const [wins, count] of (ways[first] as number[]).entries()) counts[wins] = count;
      for (const [wins, count] of (next[first - 1] as number[]).entries()) {
        counts[wins + second] = (counts[wins + second] as number) + count;
      }
      next.push(counts);
    }
    ways = next;
  }
  return ways[n] as number[];
}
