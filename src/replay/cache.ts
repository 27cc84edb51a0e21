/** The scope of answers that any tenant may be given. No tenant can be called so. */
export const EVERYONE = '!cache';

/** A longer answer is not kept, and of one that is still coming this much is kept for those who share it. Bytes. */
export const MOST_BYTES = 1024 * 1024;

/** What is known of an answer before its body. */
export interface AnswerHead {
  status: number;
  /** Those that belong to the answer, whoever is given it. */
  headers: Readonly<Record<string, string>>;
  /** Given as a stream: then its body is events. */
  streamed: boolean;
  /** `provider/model` that gave it. */
  target: string | null;
}

/** A whole answer that is kept for requests that mean the same. */
export interface CachedAnswer {
  head: AnswerHead;
  /** UTF-8. */
  body: Buffer;
  /** When it was kept, and until when it may be given. Milliseconds since 1970, on this process' clock. */
  storedAt: number;
  expiresAt: number;
}

/** What an answer is kept under. */
export interface CachePlace {
  /** A tenant's id, or `EVERYONE`. */
  scope: string;
  /** As `cacheKey` made it. */
  key: string;
}

/**
 * Where answers are kept: in this process (`MemoryCache`), or for all gateways (`RedisCache`). It may forget any of them at any time, and
 * is never in the way of a request: nothing here throws or rejects.
 */
export interface AnswerCache {
  /** What this process knows without asking anybody. */
  near(place: CachePlace): CachedAnswer | null;
  /** What all gateways know; null: there is nobody to ask, or nobody who would answer. */
  far(place: CachePlace): Promise<CachedAnswer | null> | null;
  /** Keeps it, in the place of what was there. What others are told of it, they are told in the background. */
  put(place: CachePlace, answer: CachedAnswer): void;
}
