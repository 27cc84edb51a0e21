/** No estimate is further off than this. */
const LEAST = Math.log(0.25);
const GREATEST = Math.log(8);
/** Of the way to what was observed, how far one observation moves a ratio: ten in agreement come within a tenth of it from anywhere. */
const STEP = 0.3;
/** The same for observations that say little of others. */
const SMALL_STEP = 0.03;
/** Names of which something is kept; then the one that came first goes. */
const MOST_NAMES = 10_000;

interface Ratio {
  /** Logarithms, so that twice as much and half as much are equally far from the same. */
  value: number;
  before: number;
}

/** For each of many names (a model, a tenant's model), how what is estimated compares with what it turns out to be. */
export class Ratios {
  readonly #known = new Map<string, Ratio>();

  /** Null where nothing is known. */
  of(name: string): number | null {
    const known = this.#known.get(name);
    return known === undefined ? null : Math.exp(known.value);
  }

  /** Takes note of one ratio that was observed. What is no number above 0 is left alone. */
  learn(name: string, observed: number, saysLittle: boolean): void {
    if (!(observed > 0)) return;
    const seen = Math.min(GREATEST, Math.max(LEAST, Math.log(observed)));
    const ratio = this.#ratio(name);
    if (saysLittle) {
      ratio.value += SMALL_STEP * (seen - ratio.value);
      return;
    }
    // One that is unlike the one before it and unlike all before that is odd, and moves little or nothing.
    ratio.value += STEP * (median(ratio.value, ratio.before, seen) - ratio.value);
    ratio.before = seen;
  }

  #ratio(name: string): Ratio {
    let ratio = this.#known.get(name);
    if (ratio !== undefined) return ratio;
    if (this.#known.size >= MOST_NAMES) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    ratio = { value: 0, before: 0 };
    this.#known.set(name, ratio);
    return ratio;
  }
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
