/** What was sent lately is measured over this, or from the last 429 on, or since the first try after a gap. Milliseconds. */
const LATELY = 5000;
const SLOTS = 20;
const SLOT = LATELY / SLOTS;
/** What was sent within less than this is no rate yet; and when nothing was sent for longer, that is a gap. Milliseconds. */
const SHORTEST = 1000;
/** Nor are fewer than so many. */
const FEWEST = 3;

/** How many tries were sent in the last seconds, in slots that are written round and round. */
export class Lately {
  readonly #counts = new Float64Array(SLOTS);
  /** Number of the slot being counted, since the clock's start. */
  #slot: number;
  /** Of all slots. */
  #total = 0;
  /** Nothing was measured before then. */
  #from: number;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(now: number) {
    this.#slot = slotOf(now);
    this.#from = now;
  }

  add(now: number): void {
    const gap = now - this.#lastAt;
    this.#lastAt = now;
    // When there was nothing to send for a while, that is no part of how fast is sent now: it is measured from this one on, which is not counted.
    if (gap > SHORTEST) {
      this.restart(now);
      return;
    }
    const slot = this.#moveTo(now);
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
    this.#total += 1;
  }

  /** One of those just added was none. */
  takeBack(now: number): void {
    const slot = this.#moveTo(now);
    if ((this.#counts[slot] ?? 0) === 0) return;
    this.#counts[slot] = (this.#counts[slot] ?? 0) - 1;
    this.#total -= 1;
  }

  /** A second, as far as is known: see `isKnown`. */
  rate(now: number): number {
    this.#moveTo(now);
    return (this.#total * 1000) / Math.max(SHORTEST, this.#ranFor(now));
  }

  /** Was enough seen to say what the rate is? */
  isKnown(now: number): boolean {
    this.#moveTo(now);
    return this.#total >= FEWEST && this.#ranFor(now) >= SHORTEST;
  }

  /** Measures anew, from a time on that may be yet to come. */
  restart(from: number): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#from = from;
  }

  #ranFor(now: number): number {
    return now - Math.max(this.#from, (this.#slot - SLOTS + 1) * SLOT);
  }

  /** Forgets what was longer ago. Gives the place of the slot that is being counted. */
  #moveTo(now: number): number {
    const slot = slotOf(now);
    for (let next = Math.max(this.#slot + 1, slot - SLOTS + 1); next <= slot; next++) {
      this.#total -= this.#counts[next % SLOTS] ?? 0;
      this.#counts[next % SLOTS] = 0;
    }
    this.#slot = Math.max(this.#slot, slot);
    return this.#slot % SLOTS;
  }
}

function slotOf(now: number): number {
  return Math.floor(now / SLOT);
}
