import assert from 'node:assert/strict';
import { after, beforeEach, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import { dayOf, type LedgerEntry } from '../../src/quota/ledger.ts';
import { RedisStore } from '../../src/quota/redis/store.ts';
import type { Ticket } from '../../src/quota/store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { away, back, deskOf, type Gateway, openGateway, Time } from './redis-rig.ts';
import { limit, newId } from './suite/kit.ts';

const redis = await startRedis({ after });
beforeEach(() => redis.call('FLUSHALL'));

const requests = limit('requests/month', 1e9);
const tokens = limit('tokens/month', 1e12);
const concurrent = limit('concurrent', 1e6);
const DEMANDS = [
  [requests, 1],
  [tokens, 50],
  [concurrent, 1],
] as const;

function entry(input: number): LedgerEntry {
  const sums = { requests: 1, tries: 1, input, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
  return { key: 'ci', model: 'm', target: 'a/b', sums: { ...sums, cost: 3, unpriced: 0 } };
}

/** A gateway whose network can fail, and one that looks on. */
async function setUp(t: TestContext, server: RedisServer = redis) {
  const proxy = await startTcpProxy(t, server.port);
  const gateway = await openGateway(t, proxy.url, { commandTimeout: 250 });
  const onlooker = await openGateway(t, server.url);
  return { proxy, gateway, onlooker };
}

/** As seen by this gateway, of requests, tokens and at a time: used, or held. */
async function taken({ store }: Gateway): Promise<number[]> {
  const standings = await store.standings('acme', [requests, tokens, concurrent]);
  return standings.flatMap(({ used, reserved }) => [used, reserved]);
}

async function scriptsRun(server: RedisServer): Promise<number> {
  return Number(
    /cmdstat_evalsha:calls=(\d+)/.exec(String(await server.call('INFO', 'commandstats')))?.[1] ?? 0,
  );
}

async function ledger(gateway: Gateway, ticket: Ticket): Promise<number[][]> {
  const rows = await gateway.store.ledger([dayOf(ticket.at)], 'acme');
  return rows.filter(({ key }) => key === 'ci').map(({ sums }) => [sums.requests, sums.input, sums.cost]);
}

/** One that some other means let in. */
function letIn(id = newId()): Ticket {
  return { tenant: 'acme', id, at: Date.now(), demands: toDemands(), held: false };
}

function toDemands() {
  return DEMANDS.map(([of, amount]) => ({ limit: of, amount }));
}

describe('batches of settlements', () => {
  it('are applied once though sent again, where the answer was lost', async (t) => {
    const { proxy, gateway, onlooker } = await setUp(t);
    const tickets = [await deskOf(gateway).take(...DEMANDS), await deskOf(gateway).take(...DEMANDS)] as const;
    await deskOf(gateway).settle(tickets[0], [0, 10, 0], [entry(10)]);
    proxy.toClient.swallow = true;
    gateway.store.settle({ ticket: tickets[1], used: [0, 30, 0], ledger: [entry(30)] });
    await until(async () => (await taken(onlooker))[2] === 40, 'the batch to be applied');
    await away(gateway);
    await redis.call('CONFIG', 'RESETSTAT');
    await back(gateway, proxy);
    assert.equal(await scriptsRun(redis), 1, 'it was not sent again');
    assert.deepEqual(await taken(onlooker), [2, 0, 40, 0, 0, 0]);
    assert.deepEqual(await ledger(onlooker, tickets[0]), [[2, 40, 6]]);
  });

  it('are applied once though sent again to the one that took over', async (t) => {
    const { master, replica, proxy, gateway } = await withReplica(t);
    const ticket = await deskOf(gateway).take(...DEMANDS);
    proxy.toClient.swallow = true;
    gateway.store.settle({ ticket, used: [0, 30, 0], ledger: [entry(30)] });
    await until(
      async () => (await master.call('HEXISTS', usageOf(ticket), FIELD)) === 1,
      'the batch to be applied',
    );
    await master.call('SET', 'after', 'it');
    assert.equal(await master.call('WAIT', 1, 5_000), 1);
    await replica.call('REPLICAOF', 'NO', 'ONE');
    proxy.target = replica.port;
    await away(gateway);
    await back(gateway, proxy);
    assert.deepEqual(await taken(gateway), [1, 0, 30, 0, 0, 0]);
    assert.deepEqual(await ledger(gateway, ticket), [[1, 30, 3]]);
  });

  it('are applied by the one that took over and has not heard of them', async (t) => {
    const { master, replica, proxy, gateway } = await withReplica(t);
    const first = await deskOf(gateway).take(...DEMANDS);
    const ticket = await deskOf(gateway).take(...DEMANDS);
    await master.call('WAIT', 1, 5_000);
    await replica.call('REPLICAOF', 'NO', 'ONE');
    // Applied and answered, and yet lost: nobody can know.
    await deskOf(gateway).settle(first, [0, 20, 0]);
    proxy.toClient.swallow = true;
    gateway.store.settle({ ticket, used: [0, 30, 0], ledger: [entry(30)] });
    await until(
      async () => (await master.call('HEXISTS', usageOf(ticket), FIELD)) === 1,
      'the batch to be applied',
    );
    proxy.target = replica.port;
    await away(gateway);
    await back(gateway, proxy);
    assert.deepEqual(await taken(gateway), [2, 0, 30, 50, 0, 1]);
    assert.deepEqual(await ledger(gateway, ticket), [[1, 30, 3]]);
  });

  it('are summed up while Redis is away, and sent when it is back', async (t) => {
    const { proxy, gateway, onlooker } = await setUp(t);
    const held: Ticket[] = [];
    while (held.length < 1_200) {
      held.push(...(await Promise.all(Array.from({ length: 50 }, () => deskOf(gateway).take(...DEMANDS)))));
    }
    proxy.refuses = true;
    proxy.cut();
    await away(gateway);
    for (const ticket of held) gateway.store.settle({ ticket, used: [0, 7, 0], ledger: [entry(7)] });
    for (let i = 0; i < 20_000; i++) {
      gateway.store.settle({ ticket: letIn(), used: [0, 11, 0], ledger: [entry(11)] });
      if (i % 1_000 === 0) await new Promise(setImmediate);
    }
    await gateway.store.flush('acme');
    assert.deepEqual(await taken(onlooker), [1_200, 0, 0, 60_000, 0, 1_200]);
    await redis.call('CONFIG', 'RESETSTAT');
    await back(gateway, proxy);
    // 500 requests at a time, all else in one, and the day's line in the index.
    assert.ok((await scriptsRun(redis)) <= 5, `${await scriptsRun(redis)}`);
    assert.deepEqual(await taken(onlooker), [21_200, 0, 1_200 * 7 + 20_000 * 11, 0, 0, 0]);
    const sums = [21_200, 1_200 * 7 + 20_000 * 11, 3 * 21_200];
    assert.deepEqual(await ledger(onlooker, letIn()), [sums]);
  });

  it('are sent one after the other, with all that came meanwhile', async (t) => {
    const { proxy, gateway, onlooker } = await setUp(t);
    const tickets = await Promise.all(Array.from({ length: 100 }, () => deskOf(gateway).take(...DEMANDS)));
    await deskOf(gateway).settle(letIn(), [0, 0, 0], [entry(0)]);
    await redis.call('CONFIG', 'RESETSTAT');
    proxy.toClient.hold();
    for (const [i, ticket] of tickets.entries()) {
      gateway.store.settle({ ticket, used: [0, 1, 0], ledger: [entry(1)] });
      if (i % 10 === 0) await new Promise(setImmediate);
    }
    await until(async () => (await taken(onlooker))[2] !== 0, 'the first to be applied');
    const before = await scriptsRun(redis);
    proxy.toClient.release();
    await gateway.store.flush('acme');
    assert.equal((await scriptsRun(redis)) - before, 1);
    assert.deepEqual(await taken(onlooker), [101, 0, 100, 0, 0, 0]);
  });

  it('are sent as soon as Redis is back, without being waited for', async (t) => {
    const proxy = await startTcpProxy(t, redis.port);
    const clock = new ManualClock(1_000);
    const gateway = await openGateway(t, proxy.url, { commandTimeout: 250, clock });
    const onlooker = await openGateway(t, redis.url);
    const ticket = await deskOf(gateway).take(...DEMANDS);
    proxy.refuses = true;
    proxy.cut();
    await away(gateway);
    gateway.store.settle({ ticket, used: [0, 30, 0], ledger: [entry(30)] });
    await new Promise(setImmediate);
    assert.deepEqual(await taken(onlooker), [1, 0, 0, 50, 0, 1]);
    proxy.refuses = false;
    await until(async () => (await taken(onlooker))[2] === 30, 'the batch to be applied');
  });

  it('charge a part in which nothing was left, before several others', async (t) => {
    const time = new Time(Date.UTC(2026, 10, 22));
    const desk = deskOf(await time.open(t, redis.url));
    const ofMinute = limit('tokens/minute', 1_000);
    const first = await desk.take([ofMinute, 0]);
    for (const amount of [1, 20, 300]) {
      await time.pass(3_000);
      await desk.use(ofMinute, amount);
    }
    await desk.settle(first, [500]);
    for (const left of [821, 321, 320, 300, 0]) {
      assert.deepEqual(await desk.taken(ofMinute), [left, 0]);
      await time.pass(left === 821 ? 54_000 : 3_000);
    }
  });

  it('are numbered for each store by itself, though a process may open another one', async (t) => {
    const { client, store, id } = await openGateway(t, redis.url);
    for (let i = 0; i < 3; i++) {
      store.settle({ ticket: letIn(), used: [0, 1, 0], ledger: [] });
      await store.flush(null);
    }
    const options = {
      keyPrefix: 'spillway',
      gateway: id.replace(/\.\d+$/, ''),
      ledgerDays: 400,
      commandTimeout: 1_000,
    };
    const next = new RedisStore({ ...options, client, clock: systemClock, onFault: assert.fail });
    t.after(() => next.close());
    next.settle({ ticket: letIn(), used: [0, 1, 0], ledger: [] });
    await next.flush(null);
    const [, standing] = await next.standings('acme', [requests, tokens]);
    assert.equal(standing?.used, 4);
  });

  it('charge what a Redis that came back empty has never heard of', async (t) => {
    const { proxy, gateway } = await setUp(t);
    const tickets = [await deskOf(gateway).take(...DEMANDS), await deskOf(gateway).take(...DEMANDS)] as const;
    await deskOf(gateway).settle(tickets[0], [0, 10, 0], [entry(10)]);
    await redis.restartEmpty();
    await away(gateway);
    await back(gateway, proxy);
    await deskOf(gateway).settle(tickets[1], [0, 20, 0], [entry(20)]);
    assert.deepEqual(await taken(gateway), [0, 0, 20, 0, 0, 0]);
    await deskOf(gateway).settle(await deskOf(gateway).take(...DEMANDS), [0, 5, 0], [entry(5)]);
    assert.deepEqual(await taken(gateway), [1, 0, 25, 0, 0, 0]);
    assert.deepEqual(await ledger(gateway, tickets[1]), [[2, 25, 6]]);
  });
});

const FIELD = '["ci","m","a/b","requests"]';

function usageOf({ at }: Ticket): string {
  return `spillway:{acme}:usage:${dayOf(at)}`;
}

/** A master and a replica of it, and a gateway that finds either by the same address. */
async function withReplica(t: TestContext) {
  const master = await startRedis(t, { config: { 'repl-diskless-sync-delay': '0' } });
  const replica = await startRedis(t, { config: { replicaof: `127.0.0.1 ${master.port}` } });
  await until(
    async () => /master_link_status:up/.test(String(await replica.call('INFO', 'replication'))),
    'the replica to follow',
  );
  const proxy = await startTcpProxy(t, master.port);
  const gateway = await openGateway(t, proxy.url, { commandTimeout: 250 });
  // The day's line in the index is written, so that what follows is one call.
  await deskOf(gateway).settle({ ...letIn(), demands: [] }, [], [{ ...entry(0), key: 'other' }]);
  return { master, replica, proxy, gateway };
}
