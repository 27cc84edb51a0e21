/** From this part of all places on, nobody gets one more who has an equal share already. */
const SHARED_FROM = 0.9;
/** Beyond all places there are so many more, as a part of them, for tenants that have few. */
const RESERVE = 0.1;
/** Who has how many is counted again when one in so many may have changed: looking at so many for each is what it costs. */
const COUNTED_AFTER = 1 / 16;

/** Where there are so many places, no more are ever taken: with the reserve, which is one at least. */
export function placesWithReserve(most: number): number {
  return most + Math.ceil(most * RESERVE);
}

/**
 * Who may have the last places among the requests under way. One tenant alone may have them all; with others, only as long as it has
 * less than an equal share. When all are taken there is a reserve, in which a tenant gets a place while it has fewer than are left there:
 * so there is always something for the next one, be it that two or three hold all the rest. Costs a comparison while there are places enough.
 */
export class InFlightShares {
  readonly #count: () => Map<string, number>;
  #counts = new Map<string, number>();
  /** Asked since it was counted. */
  #asked = Number.POSITIVE_INFINITY;

  /** `count` counts the requests under way of each tenant that has any, the one that is asked about with them. */
  constructor(count: () => Map<string, number>) {
    this.#count = count;
  }

  /** May this tenant have another place? `taken` of `most` are taken, with its own. */
  hasPlace(tenant: string, taken: number, most: number): boolean {
    if (taken <= most * SHARED_FROM) return true;
    const counts = this.#countedWith(tenant, taken);
    // Those that have ended since it was counted are still among them.
    const others = Math.min(counts.get(tenant) ?? 1, taken) - 1;
    const left = placesWithReserve(most) - taken + 1;
    if (others * counts.size < most && (taken <= most || others < left)) return true;
    // It is as if it had not come.
    counts.set(tenant, others);
    return false;
  }

  /** Has this tenant less than half of an equal share of the requests under way? `taken` are, with the one that is asked about. */
  hasLittle(tenant: string, taken: number): boolean {
    const counts = this.#countedWith(tenant, taken);
    const others = Math.min(counts.get(tenant) ?? 1, taken) - 1;
    // If it is taken on, it is asked about again.
    counts.set(tenant, others);
    return 2 * others * counts.size < taken;
  }

  #countedWith(tenant: string, taken: number): Map<string, number> {
    if (++this.#asked >= taken * COUNTED_AFTER) {
      this.#asked = 0;
      this.#counts = this.#count();
    } else this.#counts.set(tenant, (this.#counts.get(tenant) ?? 0) + 1);
    return this.#counts;
  }
}
