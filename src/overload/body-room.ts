/** Bodies up to this are found room for as long as there is any, whosever they are. Bytes. */
const SMALL = 64 * 1024;

/**
 * Bounds the bytes of request bodies that are held at once. A tenant may hold as many bytes of long bodies as it leaves free: alone it gets half
 * of the room, two get a third each, and there is always something left for the next.
 */
export class BodyRoom {
  readonly #bytes: number;
  #held = 0;
  /** Long bodies, by tenant; only of those that have any. */
  readonly #longOf = new Map<string, number>();

  /** Throws a RangeError unless there are any bytes. */
  constructor(bytes: number) {
    if (!(bytes > 0)) throw new RangeError(`bodies need room, got ${bytes} bytes`);
    this.#bytes = bytes;
  }

  /** Bytes that are held. */
  get held(): number {
    return this.#held;
  }

  /** Takes room for a body; false: there is none. One body finds room however long it is, where there is no other. */
  take(tenant: string, bytes: number): boolean {
    const free = this.#bytes - this.#held - bytes;
    if (bytes <= SMALL) {
      if (free < 0 && this.#held > 0) return false;
    } else {
      const long = (this.#longOf.get(tenant) ?? 0) + bytes;
      if (free < long && this.#held > 0) return false;
      this.#longOf.set(tenant, long);
    }
    this.#held += bytes;
    return true;
  }

  /** What was taken is free again. */
  give(tenant: string, bytes: number): void {
    this.#held -= bytes;
    if (bytes <= SMALL) return;
    const long = (this.#longOf.get(tenant) ?? 0) - bytes;
    if (long > 0) this.#longOf.set(tenant, long);
    else this.#longOf.delete(tenant);
  }
}
