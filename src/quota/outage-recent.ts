/**
 * A map that forgets what was not asked for lately, at the cost of a look-up: two generations, of which the older is dropped when
 * the younger is full. It holds the last `size` at least, twice that at most, and besides these whatever must not be forgotten yet.
 */
export class Recent<Value> {
  readonly #size: number;
  readonly #mustStay: (value: Value) => boolean;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();
  /** Entries that make the younger generation full. */
  #full: number;

  constructor(size: number, mustStay: (value: Value) => boolean) {
    this.#size = size;
    this.#mustStay = mustStay;
    this.#full = size;
  }

  get(name: string): Value | undefined {
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const old = this.#old.get(name);
    if (old !== undefined) this.set(name, old);
    return old;
  }

  set(name: string, value: Value): void {
    this.#young.set(name, value);
    if (this.#young.size < this.#full) return;
    const kept = [...this.#old].filter(([key, one]) => !this.#young.has(key) && this.#mustStay(one));
    this.#old = this.#young;
    this.#young = new Map(kept);
    this.#full = this.#size + kept.length;
  }

  /** Entries kept. */
  get size(): number {
    let size = this.#young.size;
    for (const name of this.#old.keys()) if (!this.#young.has(name)) size++;
    return size;
  }
}
