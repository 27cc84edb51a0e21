import type { Chance } from '../../src/core/clock.ts';

/** A chance that is the same in every run (mulberry32). */
export function seeded(seed: number): Chance {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** With this mean: what lies between arrivals that know nothing of each other. */
export function exponential(mean: number, chance: Chance): number {
  return -mean * Math.log(1 - chance());
}

/** With this median; the logarithm's standard deviation is `spread`. As times of servers are: most near the median, few far above. */
export function lognormal(median: number, spread: number, chance: Chance): number {
  const normal = Math.sqrt(-2 * Math.log(1 - chance())) * Math.cos(2 * Math.PI * chance());
  return median * Math.exp(spread * normal);
}
