/** What keeps claims, under a clock that the test moves. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/core/clock.ts';
import type { Claim, Claimed, Claims, Wanted } from '../../src/replay/claims.ts';
import type { KeptAnswer } from '../../src/replay/kept-answer.ts';
import { MemoryClaims } from '../../src/replay/memory-claims.ts';
import { RedisClaims, type RedisClaimsOptions } from '../../src/replay/redis-claims.ts';
import { Seal } from '../../src/replay/seal.ts';
import { type OpenState, openState } from '../../src/state/connect.ts';
import type { RedisSettings } from '../../src/state/settings.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { CleansUp } from '../support/redis.ts';

export const LEASE = 10_000;
export const DAY = 86_400_000;
export const BOUND = 1_000_000;

export function answer(body: string): KeptAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    streamed: false,
    target: 'a/up',
    body,
  };
}

/** One gateway's claims. */
export interface Seat {
  claims: Claims;
  /** Ends it as a crash does. Null: what it keeps ends with it. */
  die: (() => Promise<void>) | null;
}

export interface Rig {
  /** One more gateway; of claims in memory the same one. */
  seat(): Promise<Seat>;
  /** Moves the time of all who live, and lets them do what falls due. */
  pass(ms: number): Promise<void>;
}

export type OpenRig = (t: CleansUp) => Promise<Rig>;

export async function memoryRig(): Promise<Rig> {
  const clock = new ManualClock(1000);
  const claims = new MemoryClaims({ clock, maxBytes: BOUND });
  return {
    seat: async () => ({ claims, die: null }),
    pass: (ms) => clock.advanceAsync(ms),
  };
}

export interface RedisSeat extends Seat {
  claims: RedisClaims;
  client: OpenState;
  clock: ManualClock;
  faults: unknown[];
  /** Resolves when all that it has sent is done. */
  settled(): Promise<void>;
}

export interface SeatOptions extends Partial<RedisClaimsOptions> {
  commandTimeout?: number;
}

/** Closed with the test. */
export async function openSeat(
  t: CleansUp,
  redis: RedisSettings | string,
  options: SeatOptions = {},
): Promise<RedisSeat> {
  const { commandTimeout = 2000, keyPrefix = 'spillway', mode = 'local' } = options;
  const settings = typeof redis === 'string' ? ({ kind: 'single', url: redis } as const) : redis;
  const gateway = randomUUID();
  const client = openState(
    { redis: settings, keyPrefix, commandTimeout, onOutage: mode },
    { clock: systemClock, chance: Math.random, gateway },
  );
  await client.started;
  const clock = new ManualClock(1000);
  const faults: unknown[] = [];
  const claims = new RedisClaims({
    client,
    keyPrefix,
    seal: new Seal('secret'),
    clock,
    gateway,
    mode,
    maxBytes: BOUND,
    onFault: (error) => faults.push(error),
    ...options,
  });
  const die = async () => {
    await client.close();
    await claims.close();
  };
  t.after(die);
  return {
    claims,
    client,
    clock,
    faults,
    die,
    settled: async () => {
      // What is sent waits for nothing that was sent before it, but is answered after that. A whole script follows its name.
      for (let i = 0; i < 3; i++) {
        await new Promise(setImmediate);
        if (client.isUp('{acme}')) await client.command('EXISTS', `${keyPrefix}:{acme}`).catch(() => {});
      }
    },
  };
}

let rigs = 0;

export async function redisRig(
  t: CleansUp,
  redis: RedisSettings | string,
  prefix = `rig${process.pid}-${rigs++}`,
): Promise<Rig> {
  let now = Date.UTC(2026, 10, 22);
  const living = new Set<RedisSeat>();
  return {
    seat: async () => {
      const seat = await openSeat(t, redis, { keyPrefix: prefix, lease: LEASE, time: () => now });
      living.add(seat);
      return {
        claims: seat.claims,
        die: async () => {
          living.delete(seat);
          await seat.die?.();
        },
      };
    },
    async pass(ms) {
      // In steps, for leases are kept by what is done in between.
      const step = LEASE / 4;
      const steps = ms > 20 * LEASE ? [ms] : [...Array(Math.floor(ms / step)).fill(step), ms % step];
      for (const each of steps) {
        now += each;
        for (const seat of living) {
          seat.clock.advance(each);
          await seat.settled();
        }
      }
    },
  };
}

/** What is asked for, as the pipeline would ask. */
export function want(claims: Claims, key = 'key', body = 'body', tenant = 'acme'): Wanted {
  return claims.wanted(tenant, key, ['chat', Buffer.from(body)]);
}

export function ask(claims: Claims, key = 'key', body = 'body', tenant = 'acme'): Promise<Claimed> {
  return claims.claim(want(claims, key, body, tenant));
}

/** Fails unless the claim is given. */
export async function take(claims: Claims, key = 'key', body = 'body', tenant = 'acme'): Promise<Claim> {
  const claimed = await ask(claims, key, body, tenant);
  assert.equal(claimed.kind, 'claimed');
  return (claimed as Claimed & { kind: 'claimed' }).claim;
}

/** In a word: whose it is, or the answer's body. */
export async function told(claims: Claims, key = 'key', body = 'body', tenant = 'acme'): Promise<string> {
  const claimed = await ask(claims, key, body, tenant);
  return claimed.kind === 'done' ? `done: ${claimed.answer.body}` : claimed.kind;
}
