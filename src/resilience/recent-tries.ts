const SLOTS = 10;

/** How the tries of the window went, in ten slots: a slot that is leaving takes all its tries along, so the window is nine to ten tenths of its length. */
export class RecentTries {
  total = 0;
  failures = 0;
  /** Since the last success, however long ago they were. */
  failuresInARow = 0;
  readonly #slotMs: number;
  readonly #totals = none();
  readonly #failures = none();
  /** Number of the slot being counted, since the clock's start. */
  #current: number;

  constructor(windowMs: number, now: number) {
    this.#slotMs = windowMs / SLOTS;
    this.#current = Math.floor(now / this.#slotMs);
  }

  success(now: number): void {
    this.#count(now, this.#totals);
    this.total += 1;
    this.failuresInARow = 0;
  }

  failure(now: number): void {
    this.#count(now, this.#totals);
    this.#count(now, this.#failures);
    this.total += 1;
    this.failures += 1;
    this.failuresInARow += 1;
  }

  #count(now: number, counts: number[]): void {
    const current = Math.floor(now / this.#slotMs);
    if (current > this.#current) this.#moveTo(current);
    const slot = this.#current % SLOTS;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }

  #moveTo(current: number): void {
    const first = Math.max(this.#current + 1, current - SLOTS + 1);
    for (let i = first; i <= current; i++) {
      const slot = i % SLOTS;
      this.total -= this.#totals[slot] ?? 0;
      this.failures -= this.#failures[slot] ?? 0;
      this.#totals[slot] = 0;
      this.#failures[slot] = 0;
    }
    this.#current = current;
  }
}

/** There may be thousands of these: an array of so few weighs a quarter of a typed one. */
function none(): number[] {
  return Array.from({ length: SLOTS }, () => 0);
}
