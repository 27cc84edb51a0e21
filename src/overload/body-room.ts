/** Bodies up to this are short. Bytes. */
const SHORT = 64 * 1024;
/** With a short body a tenant may hold so many times what it leaves free; with a longer one, no more than that. */
const SHORT_TO_FREE = 9;

/**
 * Bounds the bytes of bodies that are held at once: of requests, and of answers that wait for their clients, of which `UntakenAnswers` decides.
 * What a tenant may hold goes by what it leaves free, so there is always something left for the next: of short bodies alone it gets nine tenths
 * of the room, two get 9/19 each; of long ones it gets half, two get a third each.
 */
export class BodyRoom {
  readonly #bytes: number;
  #held = 0;
  /** By tenant; only of those that hold any. */
  readonly #heldOf = new Map<string, number>();

  /** Throws a RangeError unless there are any bytes. */
  constructor(bytes: number) {
    if (!(bytes > 0)) throw new RangeError(`bodies need room, got ${bytes} bytes`);
    this.#bytes = bytes;
  }

  /** Bytes that are held. */
  get held(): number {
    return this.#held;
  }

  /** Bytes that are not held; below 0 where more was put than there is room for. */
  get free(): number {
    return this.#bytes - this.#held;
  }

  /** That hold any. */
  get tenants(): number {
    return this.#heldOf.size;
  }

  /**
   * Takes room for what there is of a body, if there is room for all that is expected of it; false: there is none. One body finds room
   * however long it is, where nothing else is held.
   */
  take(tenant: string, bytes: number, expected = bytes): boolean {
    const free = this.#bytes - this.#held - expected;
    const own = this.#heldOf.get(tenant) ?? 0;
    const most = expected > SHORT ? free : free * SHORT_TO_FREE;
    if (own + expected > most && this.#held > 0) return false;
    if (bytes > 0) this.put(tenant, bytes);
    return true;
  }

  /** Takes room for what is there already, whether there is any or not. */
  put(tenant: string, bytes: number): void {
    this.#held += bytes;
    this.#heldOf.set(tenant, (this.#heldOf.get(tenant) ?? 0) + bytes);
  }

  /** What was taken is free again. */
  give(tenant: string, bytes: number): void {
    this.#held -= bytes;
    const own = (this.#heldOf.get(tenant) ?? 0) - bytes;
    if (own > 0) this.#heldOf.set(tenant, own);
    else this.#heldOf.delete(tenant);
  }
}
