import type { BodyRoom } from './body-room.ts';

/** Up to here an answer that waits takes no more than a stream may, and is bounded as those are: by the places under way. Bytes. */
const SHORT = 64 * 1024;

/** What waits for less may well be on its way: an encrypted answer waits for a moment in any case, and one of a megabyte on a line that is far. Milliseconds. */
const ON_ITS_WAY = 5_000;

interface Held {
  readonly tenant: string;
  /** On the clock's time. */
  readonly since: number;
  readonly bytes: number;
}

/**
 * Bounds the bytes of whole answers that wait for their clients to take them, in the room of the bodies of requests. An answer cannot be refused any
 * more, it has been paid for: there is room for each, but others may be cut off for it. A tenant's may take together as much as is left free then, so
 * those of its clients that do not read for some seconds cost it its own answers; what others have, or what may be on its way, is only cut off where there is
 * no room at all.
 */
export class UntakenAnswers<T> {
  readonly #room: BodyRoom;
  readonly #now: () => number;
  readonly #cut: (answer: T) => void;
  /** Who waits for longest is first. */
  readonly #held = new Map<T, Held>();
  /** By tenant; only of those that have any. */
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  /** `cut` must not throw. What it is called with holds nothing any more. */
  constructor(room: BodyRoom, now: () => number, cut: (answer: T) => void) {
    this.#room = room;
    this.#now = now;
    this.#cut = cut;
  }

  /** Bytes that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** An answer begins to wait. Its tenant's others are cut off, who waits for longest first, until there is room for it; it never is itself. */
  add(tenant: string, answer: T, bytes: number): void {
    if (bytes <= SHORT) return;
    const now = this.#now();
    while ((this.#bytesOf.get(tenant) ?? 0) + bytes > this.#room.free - bytes) {
      if (!this.#cutOldestOf(tenant, now - ON_ITS_WAY)) break;
    }
    // Whoever has most has to make room, be it this tenant or the one that left it none.
    while (bytes > this.#room.free) {
      const most = this.#tenantWithMost();
      if (most === null || !this.#cutOldestOf(most, now)) break;
    }
    this.#room.put(tenant, bytes);
    this.#held.set(answer, { tenant, since: now, bytes });
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

  /** False: it has none that has waited since then, or longer. */
  #cutOldestOf(tenant: string, then: number): boolean {
    if (!this.#bytesOf.has(tenant)) return false;
    for (const [answer, held] of this.#held) {
      if (held.since > then) return false;
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
