import assert from 'node:assert/strict';
import { after, beforeEach, describe, it, type TestContext } from 'node:test';
import { dayOf, type LedgerEntry } from '../../src/quota/ledger.ts';
import { SCRIPTS } from '../../src/quota/redis/scripts.ts';
import { RedisStore } from '../../src/quota/redis/store.ts';
import type { Ticket } from '../../src/quota/store.ts';
import type { StateClient } from '../../src/state/client.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { HICCUP } from '../support/hiccup.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { away, back, deskOf, type Gateway, openGateway, settled } from './redis-rig.ts';
import { Desk, limit, newId } from './suite/kit.ts';

const redis = await startRedis({ after });
beforeEach(() => redis.call('FLUSHALL'));

const TIMEOUT = 200;

const requests = limit('requests/month', 1e9);
const tokens = limit('tokens/month', 1e12);
const concurrent = limit('concurrent', 1e6);
const DEMANDS = [
  [requests, 1],
  [tokens, 50],
  [concurrent, 1],
] as const;

const SUMS = {
  requests: 1,
  tries: 1,
  input: 2,
  output: 3,
  cached: 0,
  cacheWrite: 0,
  reasoning: 0,
  cost: 4,
  unpriced: 0,
};
const ENTRY: LedgerEntry = { key: 'ci', model: 'm', target: 'a/b', sums: SUMS };

/** Of requests, tokens and at a time: used, then reserved. */
async function taken({ store }: Gateway, tenant = 'acme'): Promise<number[]> {
  const standings = await store.standings(tenant, [requests, tokens, concurrent]);
  return standings.flatMap(({ used, reserved }) => [used, reserved]);
}

const NOTHING = [0, 0, 0, 0, 0, 0];

/** A gateway whose network can fail and whose time stands still, and one that looks on. */
async function setUp(t: TestContext) {
  const proxy = await startTcpProxy(t, redis.port);
  const clock = new ManualClock(1_000);
  const faults: unknown[] = [];
  const onFault = (error: unknown) => void faults.push(error);
  const gateway = await openGateway(t, proxy.url, { commandTimeout: TIMEOUT, clock, onFault });
  const onlooker = await openGateway(t, redis.url);
  // So that Redis knows the script, and an admission is one call.
  await deskOf(onlooker, 'other').take([concurrent, 1]);
  return { proxy, clock, gateway, onlooker, faults };
}

function letIn(id = newId(), tenant = 'acme'): Ticket {
  const demands = DEMANDS.map(([of, amount]) => ({ limit: of, amount }));
  return { tenant, id, at: Date.now(), demands, held: false };
}

/** Real time, since it is Redis' own that passes. */
async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Everything that falls due in the next while, with time for what it sends. */
async function pass(gateway: Gateway, clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    clock.advance(1_000);
    await settled(gateway);
  }
}

describe('admissions that nobody knows the end of', () => {
  it('are undone if they happened, counts and all', async (t) => {
    const { proxy, clock, gateway, onlooker } = await setUp(t);
    proxy.toClient.swallow = true;
    await assert.rejects(deskOf(gateway).take(...DEMANDS), StateUnavailable);
    assert.deepEqual(await taken(onlooker), [1, 0, 0, 50, 0, 1]);
    await back(gateway, proxy);
    await sleep(2 * TIMEOUT);
    await pass(gateway, clock, 5_000);
    assert.deepEqual(await taken(onlooker), NOTHING);
    await pass(gateway, clock, 20_000);
    assert.equal(clock.pending, 0);
  });

  it('are undone with the next batch, if that is sooner', async (t) => {
    const { proxy, gateway, onlooker } = await setUp(t);
    const ticket = await deskOf(gateway).take(...DEMANDS);
    proxy.toClient.swallow = true;
    await assert.rejects(deskOf(gateway).take(...DEMANDS), StateUnavailable);
    await back(gateway, proxy);
    await sleep(2 * TIMEOUT);
    await deskOf(gateway).settle(ticket, [0, 7, 0]);
    assert.deepEqual(await taken(onlooker), [1, 0, 7, 0, 0, 0]);
  });

  it('do nothing if they did not happen', async (t) => {
    const { proxy, clock, gateway, onlooker } = await setUp(t);
    const before = await deskOf(gateway).take(...DEMANDS);
    proxy.toServer.swallow = true;
    await assert.rejects(deskOf(gateway).take(...DEMANDS), StateUnavailable);
    await back(gateway, proxy);
    await sleep(2 * TIMEOUT);
    await pass(gateway, clock, 10_000);
    assert.deepEqual(await taken(onlooker), [1, 0, 0, 50, 0, 1]);
    await deskOf(gateway).settle(before);
  });

  it('are charged once if they were let in by other means', async (t) => {
    const { proxy, clock, gateway, onlooker } = await setUp(t);
    const id = newId();
    proxy.toClient.swallow = true;
    await assert.rejects(deskOf(gateway).ask(DEMANDS, id), StateUnavailable);
    gateway.store.settle({ ticket: letIn(id), used: [0, 30, 0], ledger: [ENTRY] });
    await back(gateway, proxy);
    assert.deepEqual(await taken(onlooker), [2, 0, 30, 50, 0, 1]);
    await sleep(2 * TIMEOUT);
    await pass(gateway, clock, 5_000);
    assert.deepEqual(await taken(onlooker), [1, 0, 30, 0, 0, 0]);
  });

  it('no longer happen in a Redis that was frozen, when it works off what it was sent', async (t) => {
    const { proxy, clock, gateway, onlooker } = await setUp(t);
    redis.freeze();
    t.after(() => redis.thaw());
    const asked = Promise.allSettled(Array.from({ length: 10 }, () => deskOf(gateway).take(...DEMANDS)));
    const ends = await asked;
    assert.ok(ends.every(({ status }) => status === 'rejected'));
    await sleep(2 * TIMEOUT);
    redis.thaw();
    await until(() => onlooker.client.isUp('{acme}'), 'the onlooker to see again');
    assert.deepEqual(await taken(onlooker), NOTHING);
    // Each would have begun with a lease.
    assert.equal(await redis.call('HEXISTS', `spillway:{acme}:r:${gateway.id}`, '#lease'), 0);
    await back(gateway, proxy);
    await pass(gateway, clock, 10_000);
    assert.deepEqual(await taken(onlooker), NOTHING);
  });

  it('are undone only when they can no longer happen', async () => {
    const now = Date.now();
    const keys = ['q', 'r:g1', 'usage'].map((name) => `spillway:{acme}:${name}`);
    const settle = (number: number, notBefore: number) =>
      redis.call('EVAL', SCRIPTS.settle.lua, 3, ...keys, '', number, notBefore, 0, 1, 0, 0, 'a');
    assert.equal(await settle(1, now + 60_000), -1);
    assert.deepEqual(await redis.call('KEYS', '*{acme}:r:*'), [], 'it did something all the same');
    assert.equal(await settle(1, now - 1), 1);
    assert.equal(await settle(1, now - 1), 0);
  });

  it('are not sent at all where Redis is known to be away', async (t) => {
    const { proxy, clock, gateway } = await setUp(t);
    proxy.refuses = true;
    proxy.cut();
    await away(gateway);
    const started = performance.now();
    for (let i = 0; i < 1_000; i++) await assert.rejects(deskOf(gateway).take(...DEMANDS), StateUnavailable);
    assert.ok(performance.now() - started < HICCUP);
    await assert.rejects(gateway.store.standings('acme', [requests]), StateUnavailable);
    await assert.rejects(gateway.store.ledger(['2026-11-22'], 'acme'), StateUnavailable);
    clock.advance(20_000);
    assert.equal(clock.pending, 0, 'there is something to be undone');
  });
});

/** A store that takes Redis' clock for another one than it is. */
async function withWrongClock(t: TestContext, off: number) {
  const { client, id } = await openGateway(t, redis.url);
  const clock = new ManualClock(1_000);
  const wrong = {
    answers: true,
    async run(...args: Parameters<StateClient['run']>) {
      const answer = await client.run(...args);
      if (wrong.answers) return answer;
      throw new StateUnavailable('the answer is lost');
    },
    command: (...args: Parameters<StateClient['command']>) => client.command(...args),
    time: () => Date.now() + off,
    isUp: () => true,
    allUp: true,
    onChange: () => () => {},
    close: async () => {},
  };
  const options = { keyPrefix: 'spillway', gateway: id, clock, ledgerDays: 400, commandTimeout: 1_000 };
  const store = new RedisStore({ ...options, client: wrong, onFault: assert.fail });
  t.after(() => store.close());
  return { wrong, clock, store, desk: new Desk({ store, setTime() {}, now: Date.now, another: null }) };
}

describe('a clock', () => {
  for (const off of [-600_000, 600_000]) {
    it(`of Redis that is taken to be ${off / 1000} s off is learned from its answer`, async (t) => {
      const { desk } = await withWrongClock(t, off);
      const ticket = await desk.take(...DEMANDS);
      assert.ok(Math.abs(ticket.at - Date.now()) < 60_000);
      await desk.settle(ticket, [0, 5, 0]);
      assert.deepEqual(await desk.taken(tokens), [5, 0]);
    });
  }

  it('of a gateway that is ahead takes nobody into the future', async (t) => {
    const { gateway } = await setUp(t);
    const desk = deskOf(gateway);
    const [second, minute] = [limit('tokens/second', 100), limit('tokens/minute', 100)];
    const demands = [second, minute].map((of) => ({ limit: of, amount: 5 }));
    const ahead = Date.now() + 3_600_000;
    const letIn = (at: number): Ticket => ({ tenant: 'acme', id: newId(), at, demands, held: false });
    await desk.settle(letIn(ahead), [5, 5]);
    await desk.settle(letIn(ahead + 600_000), [7, 7]);
    const standings = await gateway.store.standings('acme', [second, minute]);
    assert.equal(standings[1]?.used, 12);
    assert.ok((standings[0]?.resetsIn ?? 0) <= 1_050 && (standings[1].resetsIn ?? 0) <= 63_000);
    const ticket = await desk.take([minute, 1]);
    assert.ok(ticket.at < ahead - 3_000_000);
  });

  it('by which it is too early to undo anything keeps nothing else waiting', async (t) => {
    const { wrong, clock, store, desk } = await withWrongClock(t, 600_000);
    const ticket = await desk.take(...DEMANDS);
    wrong.answers = false;
    await assert.rejects(desk.take(...DEMANDS), StateUnavailable);
    // By the one clock it is time, by Redis' own it is not.
    wrong.answers = true;
    wrong.time = () => Date.now() + 1_200_000;
    await desk.settle(ticket, [0, 5, 0], [ENTRY]);
    assert.deepEqual(await desk.taken(tokens), [5, 50]);
    await redis.call('CONFIG', 'RESETSTAT');
    for (let i = 0; i < 3; i++) {
      clock.advance(5_000);
      for (let turns = 0; turns < 3; turns++) await desk.taken(tokens);
    }
    const stats = String(await redis.call('INFO', 'commandstats'));
    const scripts = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
    assert.ok(scripts <= 9 + 3 + 3, `${scripts}`);
    assert.equal((await store.ledger([dayOf(ticket.at)], 'acme')).length, 1);
  });
});

async function tell(words: string): Promise<void> {
  const [command = '', ...args] = words.split(' ');
  await redis.call(command, ...args);
}

describe('a Redis that takes no writes', () => {
  for (const [why, begin, end] of [
    ['is out of memory', 'CONFIG SET maxmemory 1', 'CONFIG SET maxmemory 0'],
    ['is a replica', 'REPLICAOF 127.0.0.1 1', 'REPLICAOF NO ONE'],
  ] as const) {
    it(`as it ${why}, gets what was settled when it takes them again`, async (t) => {
      const { gateway, onlooker } = await setUp(t);
      t.after(() => tell(end));
      const ticket = await deskOf(gateway).take(...DEMANDS);
      await tell(begin);
      gateway.store.settle({ ticket, used: [0, 5, 0], ledger: [ENTRY] });
      await assert.rejects(deskOf(gateway).take(...DEMANDS), StateUnavailable);
      await away(gateway);
      await gateway.store.flush(null);
      await tell(end);
      await until(() => gateway.client.isUp('{acme}'), 'Redis to be back');
      await gateway.store.flush(null);
      await until(() => onlooker.client.isUp('{acme}'), 'Redis to be back');
      assert.deepEqual((await taken(onlooker)).slice(0, 4), [1, 0, 5, 0]);
    });
  }
});

describe('what is not as it should be in Redis', () => {
  it('is reported, refuses admissions, and is got over when it is mended', async (t) => {
    const { clock, gateway, onlooker, faults } = await setUp(t);
    await redis.call('SET', 'spillway:{acme}:q', 'something else');
    await assert.rejects(deskOf(gateway).take(...DEMANDS), StateUnavailable);
    assert.equal(faults.length, 1);
    assert.match(String(faults[0]), /WRONGTYPE/);
    gateway.store.settle({ ticket: letIn(), used: [0, 5, 0], ledger: [] });
    await until(() => faults.length === 2, 'the batch to fail');
    assert.equal(gateway.client.isUp('{acme}'), true);
    await redis.call('DEL', 'spillway:{acme}:q');
    await sleep(2 * TIMEOUT);
    await pass(gateway, clock, 10_000);
    assert.equal(faults.length, 2);
    assert.deepEqual(await taken(onlooker), [1, 0, 5, 0, 0, 0]);
  });

  it('costs what comes after it in the batch, rather than that what came before is charged for ever', async (t) => {
    const { clock, gateway, onlooker, faults } = await setUp(t);
    await redis.call('SET', `spillway:{acme}:usage:${dayOf(Date.now())}`, 'something else');
    gateway.store.settle({ ticket: letIn(), used: [0, 5, 0], ledger: [ENTRY] });
    await until(() => faults.length === 1, 'the batch to fail');
    await pass(gateway, clock, 60_000);
    assert.equal(faults.length, 1);
    assert.deepEqual(await taken(onlooker), [1, 0, 5, 0, 0, 0]);
  });

  it('of the index of tenants keeps no batch waiting, and is made up for', async (t) => {
    const { clock, gateway, onlooker, faults } = await setUp(t);
    const day = dayOf(Date.now());
    const index = `spillway:{!}:tenants:${day}`;
    await redis.call('SET', index, 'something else');
    gateway.store.settle({ ticket: letIn(), used: [0, 5, 0], ledger: [ENTRY] });
    await gateway.store.flush(null);
    assert.match(String(faults[0]), /WRONGTYPE/);
    assert.deepEqual(await taken(onlooker), [1, 0, 5, 0, 0, 0]);
    assert.equal((await onlooker.store.ledger([day], 'acme')).length, 1);
    await redis.call('DEL', index);
    assert.equal((await onlooker.store.ledger([day], null)).length, 0);
    await pass(gateway, clock, 10_000);
    assert.equal((await onlooker.store.ledger([day], null)).length, 1);
    await pass(gateway, clock, 10_000);
    assert.equal(clock.pending, 0);
  });

  it('of a ledger is left out', async (t) => {
    const { gateway } = await setUp(t);
    const day = dayOf(Date.now());
    await deskOf(gateway).settle(letIn(), [0, 5, 0], [ENTRY]);
    const odd = ['note', 'by hand', '["ci"]', 1, '{"a":1}', 2, '["a","b","c","nonsense"]', 3, '[1,2,3,4]', 4];
    await redis.call('HSET', `spillway:{acme}:usage:${day}`, ...odd);
    const rows = await gateway.store.ledger([day], 'acme');
    assert.deepEqual(
      rows.map(({ sums }) => sums),
      [SUMS],
    );
  });
});

describe('the index of tenants', () => {
  it('is made anew within minutes if Redis has lost it', async (t) => {
    const { clock, gateway } = await setUp(t);
    const day = dayOf(Date.now());
    const settle = () => deskOf(gateway).settle(letIn(), [0, 5, 0], [ENTRY]);
    await settle();
    await redis.call('DEL', `spillway:{!}:tenants:${day}`);
    await settle();
    assert.equal((await gateway.store.ledger([day], null)).length, 0);
    await pass(gateway, clock, 600_000);
    await settle();
    assert.equal((await gateway.store.ledger([day], null)).length, 1);
  });

  it('finds a thousand tenants of several days', async (t) => {
    const gateway = await openGateway(t, redis.url);
    const days = [0, 1, 2].map((ago) => Date.now() - ago * 86_400_000);
    for (let i = 0; i < 1_000; i++) {
      for (const at of days) {
        gateway.store.settle({
          ticket: { ...letIn(newId(), `t${i}`), at },
          used: [0, 1, 0],
          ledger: [ENTRY],
        });
      }
    }
    await gateway.store.flush(null);
    const rows = await gateway.store.ledger(days.map(dayOf), null);
    assert.equal(rows.length, 3_000);
    assert.equal(new Set(rows.map(({ day, tenant }) => `${day} ${tenant}`)).size, 3_000);
  });
});

describe('a store that is closed', () => {
  it('leaves nothing behind that goes on', async (t) => {
    const { proxy, clock, gateway, faults } = await setUp(t);
    const ticket = await deskOf(gateway).take(...DEMANDS);
    proxy.toClient.swallow = true;
    const asked = deskOf(gateway).take(...DEMANDS);
    gateway.store.settle({ ticket, used: [0, 1, 0], ledger: [ENTRY] });
    const flushed = gateway.store.flush(null);
    await gateway.store.close();
    await flushed;
    await assert.rejects(asked, StateUnavailable);
    await assert.rejects(deskOf(gateway).take(...DEMANDS), StateUnavailable);
    gateway.store.settle({ ticket: letIn(), used: [0, 1, 0], ledger: [] });
    await gateway.store.flush('acme');
    assert.equal(clock.pending, 0);
    assert.deepEqual(faults, []);
  });
});
