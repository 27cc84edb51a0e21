import type { BodyRoom } from './body-room.ts';

/** Up to here an answer that waits takes no more than a stream may, and is bounded as those are: by the places under way. Bytes. */
const SHORT = 64 * 1024;

interface Held {
  readonly tenant: string;
  readonly bytes: number;
}

/**
 * Bounds the bytes of whole answers that wait for their clients to take them, in the room of the bodies of requests. An answer cannot be refused any
 * more, it has been paid for: there is room for each, but others may be cut off for it. A tenant's may take together as much as is left free then, so
 * those of its clients that do not read cost it its own answers; what others have is only cut off where there is no room at all.
 */
export class UntakenAnswers<T> {
  readonly #room: BodyRoom;
  readonly #cut: (answer: T) => void;
  /** Who waits for longest is first. */
  readonly #held = new Map<T, Held>();
  /** By tenant; only of those that have any. */
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  /** `cut` must not throw. What it is called with holds nothing any more. */
  constructor(room: BodyRoom, cut: (answer: T) => void) {
    this.#room = room;
    this.#cut = cut;
  }

  /** Bytes that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** An answer begins to wait. Its tenant's others are cut off, who waits for longest first, until there is room for it; it never is itself. */
  add(tenant: string, answer: T, bytes: number): void {
    if (bytes <= SHORT) return;
    while ((this.#bytesOf.get(tenant) ?? 0) + bytes > this.#room.free - bytes) {
      if (!this.#cutOldestOf(tenant)) break;
    }
    // It is the only one of its tenant, and whoever has more than all others together left it no room.
    while (bytes > this.#room.free) {
      const most = this.#tenantWithMost();
      if (most === null || !this.#cutOldestOf(most)) break;
    }
    this.#room.put(tenant, bytes);
    this.#held.set(answer, { tenant, bytes });
    this.#add(tenant, bytes);
  }

  /** It was taken, or nobody is there to take it. Any number of times, and also for one that never waited. */
  over(answer: T): void {
    const held = this.#held.get(answer);
    if (held === undefined) return;
    this.#held.delete(answer);
    this.#room.give(held.tenant, held.bytes);
    this.#add(held.tenant, -held.bytes);
  }

  /** False: it has none. */
  #cutOldestOf(tenant: string): boolean {
    if (!this.#bytesOf.has(tenant)) return false;
    for (const [answer, held] of this.#held) {
      if (held.tenant !== tenant) continue;
      this.over(answer);
      this.#cut(answer);
      return true;
    }
    return false;
  }

  #tenantWithMost(): string | null {
    let most: string | null = null;
    let bytes = 0;
    for (const [tenant, own] of this.#bytesOf) {
      if (own <= bytes) continue;
      most = tenant;
      bytes = own;
    }
    return most;
  }

  #add(tenant: string, bytes: number): void {
    this.#bytes += bytes;
    const own = (this.#bytesOf.get(tenant) ?? 0) + bytes;
    if (own > 0) this.#bytesOf.set(tenant, own);
    else this.#bytesOf.delete(tenant);
  }
}
