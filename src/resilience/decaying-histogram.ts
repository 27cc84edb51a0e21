/** Each bucket ends this much above the one before: whatever lies in it is within 5 % of its middle. */
const GROWTH = 1.1;
const LOG_OF_GROWTH = Math.log(GROWTH);

/** Up to 10 minutes; what took longer is counted there. Milliseconds. */
const LONGEST = 600_000;

const BUCKETS = Math.ceil(Math.log(LONGEST) / LOG_OF_GROWTH) + 1;

/** A count may have grown by this much before all are brought down again. Far from where numbers end, or lose what is small. */
const MOST_HALF_LIVES = 60;

/**
 * Durations from 1 ms to 10 minutes, of which older ones count less: half after each half-life. Some 140 numbers. What is recorded
 * weighs more and more instead of all that was recorded weighing less and less, so that nothing else has to be touched.
 */
export class DecayingHistogram {
  readonly #halfLife: number;
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  /** When a duration would weigh 1. */
  #base = Number.NaN;

  /** Milliseconds. */
  constructor(halfLife: number) {
    this.#halfLife = halfLife;
  }

  /** Counts a duration of `ms` at the moment `now`. Below 1 ms is 1 ms. */
  record(ms: number, now: number): void {
    if (Number.isNaN(this.#base)) this.#base = now;
    if (now - this.#base > MOST_HALF_LIVES * this.#halfLife) this.#rebase(now);
    const weight = 2 ** ((now - this.#base) / this.#halfLife);
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + weight;
    this.#total += weight;
  }

  /** How many there are at the moment `now`, each counted as much as it still weighs. */
  count(now: number): number {
    return Number.isNaN(this.#base) ? 0 : this.#total * 2 ** ((this.#base - now) / this.#halfLife);
  }

  /** That share (0 to 1) of them is at most this long, within 5 %. Milliseconds; null if there are none. */
  quantile(share: number): number | null {
    if (this.#total <= 0) return null;
    let below = this.#total * Math.min(1, Math.max(0, share));
    let last = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket] ?? 0;
      if (count <= 0) continue;
      last = bucket;
      below -= count;
      if (below <= 0) break;
    }
    return middleOf(last);
  }

  #rebase(now: number): void {
    const kept = 2 ** ((this.#base - now) / this.#halfLife);
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = (this.#counts[bucket] ?? 0) * kept;
      this.#counts[bucket] = count;
      this.#total += count;
    }
    this.#base = now;
  }
}

/** Bucket n holds what is above GROWTH^(n-1) and not above GROWTH^n. */
function bucketOf(ms: number): number {
  if (!(ms > 1)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(ms) / LOG_OF_GROWTH));
}

function middleOf(bucket: number): number {
  return GROWTH ** (bucket - 0.5);
}
