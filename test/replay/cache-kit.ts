/** What keeps answers, under a clock that the test moves. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/core/clock.ts';
import type { AnswerCache, CachedAnswer, CachePlace } from '../../src/replay/cache.ts';
import { MemoryCache } from '../../src/replay/memory-cache.ts';
import { RedisCache, type RedisCacheOptions } from '../../src/replay/redis-cache.ts';
import { Seal } from '../../src/replay/seal.ts';
import { type OpenState, openState } from '../../src/state/connect.ts';
import type { RedisSettings } from '../../src/state/settings.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { CleansUp } from '../support/redis.ts';

export const HOUR = 3_600_000;

export function place(key: string, scope = 'acme'): CachePlace {
  return { scope, key };
}

export function answer(clock: ManualClock, body: string, ttl = HOUR): CachedAnswer {
  return {
    head: {
      status: 200,
      headers: { 'content-type': 'application/json', 'x-spillway-dropped': 'top_k' },
      streamed: true,
      target: 'a/up',
    },
    body: Buffer.from(body),
    storedAt: clock.wall(),
    expiresAt: clock.wall() + ttl,
  };
}

/** What a request would be answered with. */
export async function found(cache: AnswerCache, where: CachePlace): Promise<string | null> {
  return ((cache.near(where) ?? (await cache.far(where)))?.body ?? null)?.toString() ?? null;
}

export interface Seat {
  cache: AnswerCache;
  clock: ManualClock;
  /** Resolves when all that it has sent is done. */
  settled(): Promise<void>;
}

export interface RedisSeat extends Seat {
  cache: RedisCache;
  client: OpenState;
  prefix: string;
  faults: unknown[];
}

/** One gateway's cache in memory. */
export async function memorySeat(): Promise<Seat> {
  const clock = new ManualClock();
  return { cache: new MemoryCache({ wall: () => clock.wall() }), clock, settled: async () => {} };
}

/** One gateway's cache on a Redis. */
export async function redisSeat(
  t: CleansUp,
  redis: RedisSettings,
  {
    prefix = `test-${randomUUID()}`,
    clock = new ManualClock(),
    secret = null,
    commandTimeout = 2_000,
    ...options
  }: Partial<RedisCacheOptions> & {
    prefix?: string;
    clock?: ManualClock;
    secret?: string | null;
    commandTimeout?: number;
  } = {},
): Promise<RedisSeat> {
  const state = { redis, keyPrefix: prefix, commandTimeout, onOutage: 'local' as const };
  const client = openState(state, { clock: systemClock, chance: Math.random, gateway: randomUUID() });
  t.after(() => client.close());
  await client.started;
  const faults: unknown[] = [];
  const sent = new Set<Promise<unknown>>();
  const watched = Object.create(client) as OpenState;
  watched.isUp = (key) => client.isUp(key);
  watched.time = (key) => client.time(key);
  watched.command = (...args) => client.command(...args);
  watched.run = (...args) => {
    const going = client.run(...args);
    sent.add(going);
    return going;
  };
  const cache = new RedisCache({
    client: watched,
    keyPrefix: prefix,
    seal: new Seal(secret),
    wall: () => clock.wall(),
    onFault: (error) => faults.push(error),
    ...options,
  });
  const settled = async () => void (await Promise.allSettled([...sent]));
  return { cache, client, clock, prefix, faults, settled };
}
