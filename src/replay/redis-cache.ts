import type { StateClient } from '../state/client.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import type { AnswerCache, CachedAnswer, CachePlace } from './cache.ts';
import { KEEP } from './cache-script.ts';
import { readKept, writeKept } from './kept-answer.ts';
import { MemoryCache } from './memory-cache.ts';
import type { Seal } from './seal.ts';

/**
 * For so long an answer is given from this process' memory before Redis is asked for it again: another gateway may have a newer one, or
 * somebody may have thrown it away there. Milliseconds.
 */
const NEAR_FOR = 10_000;

/** Of the answers of one tenant in Redis, and of those that tenants share. Bytes. */
const MOST_OF_SCOPE = 64 * 1024 * 1024;

export interface RedisCacheOptions {
  client: StateClient;
  keyPrefix: string;
  seal: Seal;
  /** Milliseconds since 1970. */
  wall(): number;
  /** Something that should not be, and is not an outage. The answer is not kept, or not found. */
  onFault(error: unknown): void;
  /** Of one scope. Bytes; 64 MB unless said. */
  most?: number;
}

/** Answers that all gateways on one Redis share, with some of them in memory before it. While Redis is away, memory has to do. */
export class RedisCache implements AnswerCache {
  readonly #options: RedisCacheOptions;
  readonly #most: number;
  /** All that this process has lately seen; what was seen less than `NEAR_FOR` ago is in `#seenAt`. */
  readonly #memory: MemoryCache;
  readonly #seenAt = new WeakMap<CachedAnswer, number>();

  constructor(options: RedisCacheOptions) {
    this.#options = options;
    this.#most = options.most ?? MOST_OF_SCOPE;
    this.#memory = new MemoryCache(options);
  }

  near(place: CachePlace): CachedAnswer | null {
    const found = this.#memory.near(place);
    if (found === null) return null;
    const age = this.#options.wall() - (this.#seenAt.get(found) ?? 0);
    return age >= 0 && age < NEAR_FOR ? found : null;
  }

  far(place: CachePlace): Promise<CachedAnswer | null> | null {
    const key = this.#keyOf(place);
    if (this.#options.client.isUp(key)) return this.#ask(place, key);
    const known = this.#memory.near(place);
    return known === null ? null : Promise.resolve(known);
  }

  put(place: CachePlace, answer: CachedAnswer): void {
    this.#remember(place, answer);
    const { client, seal, wall } = this.#options;
    const life = Math.ceil(answer.expiresAt - wall());
    const key = this.#keyOf(place);
    if (life < 1 || !client.isUp(key)) return;
    const text = seal.seal(this.#write(answer, client.time(key), life), key);
    const size = Buffer.byteLength(text);
    if (size > this.#most) return;
    const name = key.slice(key.lastIndexOf(':') + 1);
    const keys = [key, this.#keyFor(place.scope, 'order'), this.#keyFor(place.scope, 'sizes')];
    client.run(KEEP, keys, [name, text, life, size, this.#most]).catch((error) => this.#failed(error));
  }

  async #ask(place: CachePlace, key: string): Promise<CachedAnswer | null> {
    const { client, seal } = this.#options;
    try {
      const sealed = await client.command('GET', key);
      const text = typeof sealed === 'string' ? seal.open(sealed, key) : null;
      const answer = text === null ? null : this.#read(text, client.time(key));
      if (answer === null) this.#memory.drop(place.key);
      else this.#remember(place, answer);
      return answer;
    } catch (error) {
      this.#failed(error);
      return this.#memory.near(place);
    }
  }

  #remember(place: CachePlace, answer: CachedAnswer): void {
    this.#memory.put(place, answer);
    const kept = this.#memory.near(place);
    if (kept !== null) this.#seenAt.set(kept, this.#options.wall());
  }

  /** When it was kept and for how long, by Redis' clock: those of gateways differ. Then the answer. */
  #write({ head, body }: CachedAnswer, now: number, life: number): string {
    return `${now} ${life}\n${writeKept({ ...head, body: body.toString() })}`;
  }

  #read(text: string, now: number): CachedAnswer | null {
    const lineEnd = text.indexOf('\n');
    const times = /^(\d+) (\d+)$/.exec(text.slice(0, Math.max(0, lineEnd)));
    const kept = times === null ? null : readKept(text.slice(lineEnd + 1));
    if (times === null || kept === null) return null;
    const { body, ...head } = kept;
    const wall = this.#options.wall();
    const age = Math.max(0, now - Number(times[1]));
    const storedAt = wall - age;
    return { head, body: Buffer.from(body), storedAt, expiresAt: storedAt + Number(times[2]) };
  }

  #failed(error: unknown): void {
    if (!(error instanceof StateUnavailable)) this.#options.onFault(error);
  }

  /** What it was asked for cannot be found out from the name of the key: see `Seal`. */
  #keyOf({ scope, key }: CachePlace): string {
    return this.#keyFor(scope, this.#options.seal.mark('cache', key));
  }

  #keyFor(scope: string, name: string): string {
    return `${this.#options.keyPrefix}:{${scope}}:c:${name}`;
  }
}
