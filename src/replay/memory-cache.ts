import { copyBytes, isOwn } from '../core/own-bytes.ts';
import type { AnswerCache, CachedAnswer, CachePlace } from './cache.ts';

/** Of the answers that one process keeps. Bytes. */
const MEMORY = 64 * 1024 * 1024;

/** What an answer takes besides its body and headers, about. Bytes. */
const OVERHEAD = 512;

export interface MemoryCacheOptions {
  /** Milliseconds since 1970. */
  wall(): number;
  /** Of all answers. Bytes; 64 MB unless said. */
  most?: number;
}

/** Answers in this process: those that were asked for last, up to a bound. */
export class MemoryCache implements AnswerCache {
  readonly #wall: () => number;
  readonly #most: number;
  /** Those not asked for longest come first. */
  readonly #kept = new Map<string, { answer: CachedAnswer; size: number }>();
  #size = 0;

  constructor({ wall, most = MEMORY }: MemoryCacheOptions) {
    this.#wall = wall;
    this.#most = most;
  }

  /** What it takes now. Bytes, about. */
  get size(): number {
    return this.#size;
  }

  near({ key }: CachePlace): CachedAnswer | null {
    const found = this.#kept.get(key);
    if (found === undefined) return null;
    this.#kept.delete(key);
    if (found.answer.expiresAt <= this.#wall()) {
      this.#size -= found.size;
      return null;
    }
    this.#kept.set(key, found);
    return found.answer;
  }

  far(): null {
    return null;
  }

  put({ key }: CachePlace, answer: CachedAnswer): void {
    this.drop(key);
    const size = OVERHEAD + key.length + JSON.stringify(answer.head).length + answer.body.length;
    if (size > this.#most || answer.expiresAt <= this.#wall()) return;
    const kept = isOwn(answer.body) ? answer : { ...answer, body: copyBytes(answer.body) };
    this.#kept.set(key, { answer: kept, size });
    this.#size += size;
    for (const oldest of this.#kept.keys()) {
      if (this.#size <= this.#most) return;
      this.drop(oldest);
    }
  }

  drop(key: string): void {
    const found = this.#kept.get(key);
    if (found === undefined) return;
    this.#kept.delete(key);
    this.#size -= found.size;
  }
}
