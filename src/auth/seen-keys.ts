/** More than there are keys in use, mostly: with as long a header and what a map takes, some 8 MB. Then the one that came first goes. */
const MOST = 20_000;
/** Longer ones are hashed each time: what clients may put round a key is not to be kept. Characters. */
const LONGEST = 256;

/**
 * The hashes of keys that were found, by the header that they came in: hashing is the dearest part of looking a key up. Whose the key is,
 * is not kept, so one that is taken back opens nothing any more. What is no key of anybody is never kept, and time tells nothing of a
 * guess: a map compares texts only where their hashes, which are seeded, are the same.
 */
export class SeenKeys {
  readonly #hashes = new Map<string, string>();

  hashOf(header: string): string | undefined {
    return this.#hashes.get(header);
  }

  remember(header: string, sha256: string): void {
    if (header.length > LONGEST) return;
    if (this.#hashes.size >= MOST) {
      const [oldest] = this.#hashes.keys();
      if (oldest !== undefined) this.#hashes.delete(oldest);
    }
    this.#hashes.set(header, sha256);
  }

  /** Its key is nobody's any more. */
  forget(header: string): void {
    this.#hashes.delete(header);
  }

  get size(): number {
    return this.#hashes.size;
  }
}
