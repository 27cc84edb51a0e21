import type { Clock } from '../core/clock.ts';
import { DecayingHistogram } from './decaying-histogram.ts';

/**
 * What was observed counts half after this long, in milliseconds. Short enough that a target which slows down is left within
 * seconds, long enough that one slow answer among the dozens of a busy one is no reason to.
 */
const HALF_LIFE = 10_000;

/**
 * A target that is not asked is thought to be twice as fast after each of these, in milliseconds: how it was says less and less of how it is.
 * So one that was ten times slower than the others is looked at again after 100 s, one that was twice as slow after 30 s.
 */
const HOPE_HALF_LIFE = 30_000;

/** After so long without an observation nothing is known any more. Milliseconds. */
const FORGOTTEN_AFTER = 300_000;

/** Where most have failed, sooner: that it was out of order says nothing of how fast it is, and a breaker remembers it as well. Milliseconds. */
const FAILURES_FORGOTTEN_AFTER = 60_000;

/** What a failure costs besides the time that it took: another try, somewhere else. Milliseconds. */
const FAILURE_COSTS = 10_000;

/** One that only fails is as bad as one that fails so many times for each answer: worse can wait until it answers again. */
const MOST_FAILURES_PER_ANSWER = 5;

/**
 * Those that wait are a sign of trouble once they have waited, on average, for this many times the average. In good times that is half
 * of it where answers take equally long, and near to it where they differ by much.
 */
const SUSPICIOUS = 2;

/** Against those that wait, what was observed weighs no more than so many tries: a good hour is no evidence of how it is now. */
const MOST_AGAINST_WAITING = 10;

/** Where no answer is known to compare with, so long a wait is slow. Milliseconds. */
const SLOW_ANYHOW = 1000;

/** Quantiles look further back: tails need many observations, and change slowly. Milliseconds. */
const QUANTILE_HALF_LIFE = 120_000;

/** A quantile of fewer says nothing. */
const FEWEST_FOR_QUANTILES = 20;

/**
 * How fast one kind of request gets its first content from an upstream. Nothing is kept of single tries: a few sums, and a histogram.
 *
 * A try is `begun()`, and then exactly one of `content`, `failed` and `cutShort` says how its wait ended. `now`: for who has just looked at the clock.
 */
export class Speed {
  readonly #clock: Pick<Clock, 'now'>;
  /** Made by the first content: most upstreams only ever see one kind of request. */
  #times: DecayingHistogram | null = null;
  /** Decayed to `#at`: time spent waiting, failures included, in milliseconds; waits that ended in content, and in failure. */
  #spent = 0;
  #answers = 0;
  #failures = 0;
  #at = Number.NEGATIVE_INFINITY;
  /** Tries that wait now, and the sum of the moments at which they began. */
  #waiting = 0;
  #beganSum = 0;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** A try was sent. */
  begun(now = this.#clock.now()): void {
    this.#waiting++;
    this.#beganSum += now;
  }

  /** Its first content (or, where nothing is streamed, the answer) came after so many milliseconds. */
  content(ms: number, now = this.#clock.now()): void {
    this.#ended(ms, now);
    this.#observe(ms, now);
  }

  /** It failed after so many milliseconds, and the upstream is to blame. */
  failed(ranMs: number, now = this.#clock.now()): void {
    this.#ended(ranMs, now);
    this.#age(now);
    this.#failures++;
    this.#spent += ranMs;
  }

  /**
   * It was broken off, after so many milliseconds, for no fault of the upstream's: the client left, or another try was faster. It
   * counts, as if content had come just then, if by then it was slow already: otherwise those that hedging cuts short would be
   * missing, and what is left would look faster than it is.
   */
  cutShort(ranMs: number, now = this.#clock.now()): void {
    this.#ended(ranMs, now);
    const usual = this.#answers > 0 ? this.#spent / this.#answers : SLOW_ANYHOW;
    if (ranMs > usual) this.#observe(ranMs, now);
  }

  /**
   * Milliseconds spent waiting for each answer, lately: failures add the time that they took and ten seconds, and those that wait
   * now count if they have for much longer than usual, so that silence is seen before it ends. Null: nothing is known.
   */
  average(): number | null {
    const now = this.#clock.now();
    const kept = this.#kept(now);
    if (kept === 0 || this.#answers + this.#failures <= 0) return null;
    const answers = Math.max(this.#answers, this.#failures / MOST_FAILURES_PER_ANSWER) * kept;
    const spent = (this.#spent + this.#failures * FAILURE_COSTS) * kept;
    const average = spent / answers;
    const waited = this.#waiting * now - this.#beganSum;
    if (waited <= SUSPICIOUS * average * this.#waiting) return average;
    // Whoever came to a line that does not move at a steady pace has waited, on average, half as long as the line stands still.
    const weight = Math.min(answers, MOST_AGAINST_WAITING);
    return (average * weight + 2 * waited) / (weight + this.#waiting);
  }

  /** The average as it may be by now, if nobody has looked for a while. To be believed only as long as nobody is looking. */
  hopefulAverage(): number | null {
    const average = this.average();
    if (average === null || this.#waiting > 0) return average;
    return average * 2 ** ((this.#at - this.#clock.now()) / HOPE_HALF_LIFE);
  }

  /** That share (0 to 1) of the times to first content were at most so many milliseconds, within 5 %. Null: too few of late. */
  quantile(share: number): number | null {
    if (this.#times === null || this.#times.count(this.#clock.now()) < FEWEST_FOR_QUANTILES) return null;
    return this.#times.quantile(share);
  }

  /** Those that were never said to have begun are counted all the same, as ended. */
  #ended(ranMs: number, now: number): void {
    this.#waiting = Math.max(0, this.#waiting - 1);
    // Rounding must not add up.
    this.#beganSum = this.#waiting === 0 ? 0 : this.#beganSum - (now - ranMs);
  }

  #observe(ms: number, now: number): void {
    this.#age(now);
    this.#answers++;
    this.#spent += ms;
    this.#times ??= new DecayingHistogram(QUANTILE_HALF_LIFE);
    this.#times.record(ms, now);
  }

  /** Brings the sums down to what they still count now. */
  #age(now: number): void {
    const kept = this.#kept(now);
    this.#spent *= kept;
    this.#answers *= kept;
    this.#failures *= kept;
    this.#at = now;
  }

  /** How much of what was observed still counts; 0: it is forgotten. */
  #kept(now: number): number {
    const patience = this.#failures > this.#answers ? FAILURES_FORGOTTEN_AFTER : FORGOTTEN_AFTER;
    return now - this.#at > patience ? 0 : 2 ** ((this.#at - now) / HALF_LIFE);
  }
}
