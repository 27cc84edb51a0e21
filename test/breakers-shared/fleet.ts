import assert from 'node:assert/strict';
import { Breaker, type Permit } from '../../src/resilience/breaker.ts';
import type { BreakerSettings } from '../../src/resilience/settings.ts';
import { RedisBoard } from '../../src/upstream/redis-board.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { Link, MemoryRedis } from './memory-redis.ts';

export const SHARED: BreakerSettings = {
  window: 30_000,
  minRequests: 100,
  failureRate: 1,
  consecutiveFailures: 3,
  openFor: 10_000,
  maxOpenFor: 60_000,
  halfOpenProbes: 1,
  share: true,
};

/** What a gateway asks for news by, and a little time for the answer. Milliseconds. */
export const A_POLL = 401;

export const ID = 'a/up#1';

/** One gateway's breaker of the upstream that all of them share. */
export interface Member {
  breaker: Breaker;
  board: RedisBoard;
  link: Link;
  transitions: string[];
  /** As a request does it: claims if that is needed, then acquires. */
  ask(): Promise<Permit | null>;
  /** As many failures as open it. */
  fail(): void;
}

export interface Fleet {
  clock: ManualClock;
  redis: MemoryRedis;
  members: [Member, Member, ...Member[]];
  /** Gateways come later, too. */
  join(): Member;
}

export function startFleet(
  gateways: number,
  changes: Partial<BreakerSettings> = {},
  delay: () => number = () => 0,
): Fleet {
  const clock = new ManualClock(5_000);
  const redis = new MemoryRedis(() => clock.wall());
  let started = 0;
  const join = (): Member => {
    const link = new Link(redis, clock, delay);
    const gateway = `gateway-${started++}`;
    const onFault = (error: unknown) => assert.fail(String(error));
    const board = new RedisBoard({ client: link, keyPrefix: 'p', gateway, clock, onFault });
    const transitions: string[] = [];
    const place = board.place(() => ID);
    const breaker = new Breaker(
      { ...SHARED, ...changes },
      clock,
      () => 0.5,
      (to, why) => transitions.push(`${to}: ${why}`),
      place,
    );
    board.listen((word) => {
      if (word.id === ID) breaker.hear(word);
    });
    return {
      breaker,
      board,
      link,
      transitions,
      async ask() {
        if (breaker.needsClaim()) await breaker.claim();
        return breaker.acquire();
      },
      fail() {
        for (let i = 0; i < (changes.consecutiveFailures ?? SHARED.consecutiveFailures); i++)
          breaker.acquire()?.failure();
      },
    };
  };
  const members = Array.from({ length: gateways }, join) as Fleet['members'];
  return { clock, redis, members, join };
}

/** Lets what takes no time happen. */
export async function settled({ clock }: Fleet): Promise<void> {
  for (let i = 0; i < 3; i++) await clock.advanceAsync(0);
}

/** The answer, with the time that it takes. */
export async function asked(fleet: Fleet, member: Member): Promise<Permit | null> {
  const permit = member.ask();
  await settled(fleet);
  return permit;
}
