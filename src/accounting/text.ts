/** What upstreams report may be beyond all numbers, which JSON has no word for. */
export function numberOf(value: number): string {
  return Number.isFinite(value) ? `${value}` : 'null';
}

/** `` for 0, `.694` for 694, `.5` for 500. */
const THOUSANDTHS: readonly string[] = Array.from({ length: 1000 }, (_, of) => `${of / 1000}`.slice(1));

/** Milliseconds to the microsecond, as JSON has them: `12.694`. Two whole numbers are much cheaper to print than one with a fraction. */
export function millisecondsOf(ms: number): string {
  const micros = Math.round(ms * 1000);
  if (!(micros >= 0 && micros < Number.MAX_SAFE_INTEGER)) return numberOf(micros / 1000);
  const whole = Math.floor(micros / 1000);
  return `${whole}${THOUSANDTHS[micros - whole * 1000]}`;
}

/** When so many are kept of one kind, all are forgotten: clients can make names up. With the longest, some 2 MB. */
const MOST_PIECES = 10_000;
/** Of names that are longer, a piece is made each time. Characters. */
const LONGEST_NAME = 64;

/** Text round a name that comes again and again, made once. `null`: there is no name. */
export class Pieces {
  readonly #make: (json: string) => string;
  readonly #known = new Map<string | null, string>();

  /** `make` is given the name as JSON has it. */
  constructor(make: (json: string) => string) {
    this.#make = make;
  }

  of(name: string | null): string {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const made = this.#make(JSON.stringify(name));
    if (name === null || name.length <= LONGEST_NAME) {
      if (this.#known.size >= MOST_PIECES) this.#known.clear();
      this.#known.set(name, made);
    }
    return made;
  }

  get size(): number {
    return this.#known.size;
  }
}
