import type { Chance } from '../core/clock.ts';

/** One that lived for so long did not die of how it began. Milliseconds. */
const LONG_ENOUGH = 60_000;
/** Before the second try in a row: first this, then twice as long each time, up to the last. The first try is made at once. Milliseconds. */
const PAUSE = { first: 500, last: 10_000 };
/** Of a pause, either way: they do not all come back at the same moment. */
const JITTER = 0.2;

/** How long to wait before a worker that died is replaced. */
export class Pauses {
  readonly #chance: Chance;
  /** Deaths in a row. */
  #deaths = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** After one that lived for so many milliseconds. */
  after(lived: number): number {
    this.#deaths = lived >= LONG_ENOUGH ? 1 : this.#deaths + 1;
    if (this.#deaths === 1) return 0;
    const pause = Math.min(PAUSE.last, PAUSE.first * 2 ** (this.#deaths - 2));
    return Math.round(pause * (1 + JITTER * (2 * this.#chance() - 1)));
  }
}
