/** Whatever gateways do with one another's claims, in whatever order, against a model of a page. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Claim, Claims } from '../../src/replay/claims.ts';
import { MemoryClaims } from '../../src/replay/memory-claims.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type CleansUp, startRedis } from '../support/redis.ts';
import { answer, ask, BOUND, openSeat, type RedisSeat } from './claims-kit.ts';

const redis = await startRedis({ after });

const SEATS = 3;
const LEASE = 9_000;
const TTL = 60_000;

type Op =
  | { op: 'ask' | 'finish' | 'free'; seat: number; key: string; body: string }
  /** It keeps its leases; it dies, and another one takes its place. */
  | { op: 'keep' | 'die'; seat: number }
  | { op: 'pass'; ms: number };

const seat = fc.nat(SEATS - 1);
const ops: fc.Arbitrary<Op[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        op: fc.constantFrom('ask' as const, 'ask' as const, 'finish' as const, 'free' as const),
        seat,
        key: fc.constantFrom('k', 'l'),
        body: fc.constantFrom('x', 'x', 'x', 'y'),
      }),
    },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('keep' as const), seat }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('die' as const), seat }) },
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constant('pass' as const),
        ms: fc.constantFrom(1, LEASE / 3, LEASE - 1, LEASE, TTL - 1, TTL),
      }),
    },
  ),
  { minLength: 5, maxLength: 60, size: 'max' },
);

/** What is kept under a key. */
interface Kept {
  owner: number;
  body: string;
  until: number;
  answer: string | null;
}

class Model {
  now = 0;
  readonly #lease: number;
  readonly #kept = new Map<string, Kept>();
  /** What each seat runs, as it thinks: by key. */
  readonly #running = Array.from({ length: SEATS }, () => new Map<string, { owner: number; body: string }>());
  #count = 0;

  constructor(lease: number) {
    this.#lease = lease;
  }

  ask(seat: number, key: string, body: string): string {
    const own = this.#running[seat]?.get(key);
    if (own !== undefined) return own.body === body ? 'running' : 'other_body';
    const kept = this.#living(key);
    if (kept !== null) {
      if (kept.body !== body) return 'other_body';
      return kept.answer === null ? 'running' : `done: ${kept.answer}`;
    }
    const owner = this.#count++;
    this.#kept.set(key, { owner, body, until: this.now + this.#lease, answer: null });
    this.#running[seat]?.set(key, { owner, body });
    return 'claimed';
  }

  /** The text of the answer; null: the seat runs nothing of the kind. */
  finish(seat: number, key: string): string | null {
    const own = this.#end(seat, key);
    if (own === null) return null;
    const text = `of ${own.owner}`;
    if (this.#mayWrite(key, own.owner)) {
      this.#kept.set(key, { ...own, until: this.now + TTL, answer: text });
    }
    return text;
  }

  free(seat: number, key: string): boolean {
    const own = this.#end(seat, key);
    if (own === null) return false;
    const kept = this.#kept.get(key);
    if (kept?.owner === own.owner && kept.answer === null) this.#kept.delete(key);
    return true;
  }

  keep(seat: number): void {
    for (const [key, own] of this.#running[seat] ?? []) {
      if (this.#mayWrite(key, own.owner)) {
        this.#kept.set(key, { ...own, until: this.now + this.#lease, answer: null });
      }
    }
  }

  die(seat: number): void {
    this.#running[seat]?.clear();
  }

  #end(seat: number, key: string) {
    const own = this.#running[seat]?.get(key) ?? null;
    this.#running[seat]?.delete(key);
    return own;
  }

  #mayWrite(key: string, owner: number): boolean {
    const kept = this.#living(key);
    return kept === null || (kept.owner === owner && kept.answer === null);
  }

  #living(key: string): Kept | null {
    const kept = this.#kept.get(key);
    return kept === undefined || kept.until <= this.now ? null : kept;
  }
}

/** What the model is held against. */
interface World {
  claims(seat: number): Claims;
  keep(seat: number): Promise<void>;
  die(seat: number): Promise<void>;
  pass(ms: number): void;
  settled(seat: number): Promise<void>;
}

async function holdTo(model: Model, world: World, all: readonly Op[]): Promise<void> {
  const claims = Array.from({ length: SEATS }, () => new Map<string, Claim>());
  for (const [index, one] of all.entries()) {
    const at = `step ${index}: ${JSON.stringify(one)}`;
    switch (one.op) {
      case 'ask': {
        const got = await ask(world.claims(one.seat), one.key, one.body);
        if (got.kind === 'claimed') claims[one.seat]?.set(one.key, got.claim);
        const told = got.kind === 'done' ? `done: ${got.answer.body}` : got.kind;
        assert.equal(told, model.ask(one.seat, one.key, one.body), at);
        break;
      }
      case 'finish': {
        const text = model.finish(one.seat, one.key);
        if (text !== null) claims[one.seat]?.get(one.key)?.finish(answer(text), TTL);
        break;
      }
      case 'free':
        if (model.free(one.seat, one.key)) claims[one.seat]?.get(one.key)?.free();
        break;
      case 'keep':
        model.keep(one.seat);
        await world.keep(one.seat);
        break;
      case 'die':
        model.die(one.seat);
        await world.die(one.seat);
        break;
      case 'pass':
        model.now += one.ms;
        world.pass(one.ms);
        break;
    }
    if ('seat' in one) await world.settled(one.seat);
  }
}

let worlds = 0;

async function inRedis(t: CleansUp): Promise<World> {
  const keyPrefix = `world${worlds++}`;
  let now = Date.UTC(2026, 10, 22);
  const open = () => openSeat(t, redis.url, { keyPrefix, lease: LEASE, time: () => now });
  const seats = await Promise.all(Array.from({ length: SEATS }, open));
  const at = (number: number) => seats[number] as RedisSeat;
  return {
    claims: (number) => at(number).claims,
    async keep(number) {
      at(number).clock.advance(LEASE / 3);
    },
    async die(number) {
      await at(number).die?.();
      seats[number] = await open();
    },
    pass: (ms) => {
      now += ms;
    },
    settled: (number) => at(number).settled(),
  };
}

describe('claims do as the model says, whatever happens in whatever order:', () => {
  it('in Redis, with gateways that die and such that are too slow', async (t) => {
    await fc.assert(
      fc.asyncProperty(ops, async (all) => {
        const ends: (() => Promise<void>)[] = [];
        try {
          await holdTo(new Model(LEASE), await inRedis({ after: (end) => void ends.push(end) }), all);
        } finally {
          for (const end of ends) await end();
        }
      }),
      { numRuns: 100 },
    );
    t.diagnostic(`${worlds} worlds`);
  });

  it('in one process', async () => {
    await fc.assert(
      fc.asyncProperty(ops, async (all) => {
        const clock = new ManualClock(1000);
        const claims = new MemoryClaims({ clock, maxBytes: BOUND });
        const world: World = {
          claims: () => claims,
          keep: async () => {},
          die: async () => {},
          pass: (ms) => clock.advance(ms),
          settled: async () => {},
        };
        const alone = all.flatMap((one): Op[] => {
          if (one.op === 'keep' || one.op === 'die') return [];
          return 'seat' in one ? [{ ...one, seat: 0 }] : [one];
        });
        await holdTo(new Model(Number.POSITIVE_INFINITY), world, alone);
      }),
      { numRuns: 500 },
    );
  });
});
