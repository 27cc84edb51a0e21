import assert from 'node:assert/strict';
import { after, beforeEach, describe, it } from 'node:test';
import type { Ticket } from '../../src/quota/store.ts';
import { startRedis } from '../support/redis.ts';
import { deskOf, type Gateway, lifetimes, Time } from './redis-rig.ts';
import { DAY, type Desk, limit, NOON } from './suite/kit.ts';

const redis = await startRedis({ after });
beforeEach(() => redis.call('FLUSHALL'));

const LEASE = 30_000;

const requests = limit('requests/day', 1e6);
const tokens = limit('tokens/day', 1e9);
const concurrent = limit('concurrent', 1e6);
const DEMANDS = [
  [requests, 1],
  [tokens, 50],
  [concurrent, 1],
] as const;

/** Of requests, tokens and at a time: used and reserved. */
async function taken(desk: Desk): Promise<number[][]> {
  const standings = await desk.store.standings(desk.tenant, [requests, tokens, concurrent]);
  return standings.map(({ used, reserved }) => [used, reserved]);
}

/** Whoever had a lease, by the end of it. */
async function leases(tenant = 'acme'): Promise<string[]> {
  return (await redis.call('ZRANGE', `spillway:{${tenant}}:g`, 0, -1)) as string[];
}

async function records({ id }: Gateway, tenant = 'acme'): Promise<string[]> {
  const fields = (await redis.call('HKEYS', `spillway:{${tenant}}:r:${id}`)) as string[];
  return fields.filter((field) => !field.startsWith('#'));
}

describe('leases in Redis', () => {
  it('end 30 s after a gateway died, and not before; what counted as used stays', async (t) => {
    const time = new Time(NOON);
    const [dying, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    await deskOf(dying).take(...DEMANDS);
    await dying.die();
    await time.pass(LEASE - 1, [dying]);
    assert.deepEqual(await taken(deskOf(other)), [
      [1, 0],
      [0, 50],
      [0, 1],
    ]);
    await time.pass(1, [dying]);
    assert.deepEqual(await taken(deskOf(other)), [
      [1, 0],
      [0, 0],
      [0, 0],
    ]);
    assert.deepEqual(await leases(), []);
    assert.deepEqual(await records(dying), []);
  });

  it('are kept up for as long as there is anything to be held', async (t) => {
    const time = new Time(NOON);
    const [holder, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    const ticket = await deskOf(holder).take(...DEMANDS);
    for (let minute = 0; minute < 5; minute++) {
      await time.pass(60_000);
      assert.deepEqual(await taken(deskOf(other)), [
        [1, 0],
        [0, 50],
        [0, 1],
      ]);
    }
    await deskOf(holder).settle(ticket, [0, 20, 0]);
    assert.deepEqual(await taken(deskOf(other)), [
      [1, 0],
      [20, 0],
      [0, 0],
    ]);
    await time.pass(LEASE);
    assert.equal(time.clockOf(holder).pending, 0, 'it goes on although there is nothing left to do');
    assert.deepEqual(await taken(deskOf(other)), [
      [1, 0],
      [20, 0],
      [0, 0],
    ]);
    assert.deepEqual(await leases(), []);
  });

  it('are renewed every ten seconds at most, however many requests there are', async (t) => {
    const time = new Time(NOON);
    const busy = await time.open(t, redis.url);
    await redis.call('CONFIG', 'RESETSTAT');
    for (let second = 0; second < 60; second++) {
      const tickets = await Promise.all(Array.from({ length: 10 }, () => deskOf(busy).take(...DEMANDS)));
      await time.pass(1_000);
      for (const ticket of tickets) busy.store.settle({ ticket, used: [0, 1, 0], ledger: [] });
    }
    const stats = String(await redis.call('INFO', 'commandstats'));
    const renewals = Number(/cmdstat_zadd:calls=(\d+)/.exec(stats)?.[1]);
    assert.ok(renewals >= 6 && renewals <= 13, `${renewals}`);
  });

  it('of a gateway that was frozen and given up: what it settles is charged, and nothing is given back twice', async (t) => {
    const time = new Time(NOON);
    const [frozen, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    const ticket = await deskOf(frozen).take(...DEMANDS);
    const held = await deskOf(other).take(...DEMANDS);
    await time.pass(180_000, [frozen]);
    assert.deepEqual(await taken(deskOf(other)), [
      [2, 0],
      [0, 50],
      [0, 1],
    ]);
    await deskOf(frozen).settle(ticket, [0, 30, 0]);
    assert.deepEqual(await taken(deskOf(other)), [
      [2, 0],
      [30, 50],
      [0, 1],
    ]);
    await deskOf(other).settle(held, [0, 7, 0]);
    assert.deepEqual(await taken(deskOf(other)), [
      [2, 0],
      [37, 0],
      [0, 0],
    ]);
  });

  it('of a gateway that was given up begin anew with its next admission, whatever it believes', async (t) => {
    const time = new Time(NOON);
    const [frozen, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    await deskOf(frozen).take(...DEMANDS);
    await time.pass(60_000, [frozen]);
    await taken(deskOf(other));
    assert.deepEqual(await leases(), []);
    // By its own clock it has just renewed its lease.
    await deskOf(frozen).take(...DEMANDS);
    assert.deepEqual(await leases(), [frozen.id]);
    assert.deepEqual(await taken(deskOf(other)), [
      [2, 0],
      [0, 50],
      [0, 1],
    ]);
    await frozen.die();
    await time.pass(LEASE, [frozen]);
    assert.deepEqual(await taken(deskOf(other)), [
      [2, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  it('begin anew with the first admission after a pause', async (t) => {
    const time = new Time(NOON);
    const [dying, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    await deskOf(dying).settle(await deskOf(dying).take(...DEMANDS));
    await time.pass(25_000);
    await deskOf(dying).take(...DEMANDS);
    await dying.die();
    await time.pass(LEASE - 1, [dying]);
    assert.deepEqual((await taken(deskOf(other)))[2], [0, 1]);
    await time.pass(1, [dying]);
    assert.deepEqual((await taken(deskOf(other)))[2], [0, 0]);
  });

  it('are not lost to a gateway that asks, though the clock went ahead', async (t) => {
    const time = new Time(NOON);
    const [gateway, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    await deskOf(gateway).take(...DEMANDS);
    // By its own clock, no time has passed since.
    await time.pass(60_000, [gateway]);
    await deskOf(gateway).take(...DEMANDS);
    await time.pass(LEASE - 1, [gateway]);
    assert.deepEqual((await taken(deskOf(other)))[2], [0, 2]);
    await time.pass(1, [gateway]);
    assert.deepEqual((await taken(deskOf(other)))[2], [0, 0]);
  });

  it('that are over make room before anybody is refused for them', async (t) => {
    const time = new Time(NOON);
    const [dying, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    const one = limit('concurrent', 1);
    await deskOf(dying).take([one, 1]);
    // So that it need not renew its lease with what follows, which would look for the dead as well.
    await deskOf(other).take([limit('tokens/day', 9), 1]);
    await deskOf(other).refused([one, 1]);
    await dying.die();
    await time.pass(LEASE, [dying]);
    await deskOf(other).take([one, 1]);
  });

  it('are given back by a bounded number at a time where there are very many', async (t) => {
    const time = new Time(NOON);
    const [dying, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    await Promise.all(Array.from({ length: 1_000 }, () => deskOf(dying).take(...DEMANDS)));
    await dying.die();
    await time.pass(LEASE, [dying]);
    let left = 1_000;
    for (let calls = 0; calls < 5; calls++) {
      const [counted, ofTokens, atATime] = await taken(deskOf(other));
      const now = atATime?.[1] ?? 0;
      assert.ok(left - now <= 202 && left - now >= Math.min(left, 198), `${left - now} in one call`);
      left = now;
      assert.deepEqual(
        [counted, ofTokens],
        [
          [1_000, 0],
          [0, left * 50],
        ],
      );
    }
    await taken(deskOf(other));
    assert.deepEqual(await taken(deskOf(other)), [
      [1_000, 0],
      [0, 0],
      [0, 0],
    ]);
    assert.deepEqual(await leases(), []);
    assert.deepEqual(await records(dying), []);
  });

  it('of many gateways that died are all seen to', async (t) => {
    const time = new Time(NOON);
    const other = await time.open(t, redis.url);
    const dying = await Promise.all(Array.from({ length: 20 }, () => time.open(t, redis.url)));
    for (const gateway of dying) await deskOf(gateway).take(...DEMANDS);
    for (const gateway of dying) await gateway.die();
    await time.pass(LEASE, dying);
    for (const left of [12, 4, 0])
      assert.deepEqual(await taken(deskOf(other)), [
        [20, 0],
        [0, left * 50],
        [0, left],
      ]);
    assert.deepEqual(await leases(), []);
  });

  it('of a gateway whose records are yet to follow to this node wait for them', async (t) => {
    const time = new Time(NOON);
    const [dying, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    await deskOf(dying).take(...DEMANDS);
    await dying.die();
    // As in the middle of the migration of a slot.
    const [key, away] = [`spillway:{acme}:r:${dying.id}`, '{acme}:elsewhere'];
    await redis.call('RENAME', key, away);
    await time.pass(LEASE, [dying]);
    assert.deepEqual(await taken(deskOf(other)), [
      [1, 0],
      [0, 50],
      [0, 1],
    ]);
    await redis.call('RENAME', away, key);
    assert.deepEqual(await leases(), [dying.id]);
    await time.pass(LEASE, [dying]);
    assert.deepEqual(await taken(deskOf(other)), [
      [1, 0],
      [0, 0],
      [0, 0],
    ]);
    assert.deepEqual(await leases(), []);
  });

  it('do not keep what was settled and then forgotten by a Redis that took over', async (t) => {
    const time = new Time(NOON);
    const [gateway, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    const long = await deskOf(gateway).take(...DEMANDS);
    await time.pass(100_000);
    const ticket = await deskOf(gateway).take(...DEMANDS);
    const keys = ['q', `r:${gateway.id}`].map((name) => `spillway:{acme}:${name}`);
    const before = await Promise.all(keys.map((key) => redis.client.dumpBuffer(key)));
    await deskOf(gateway).settle(ticket, [0, 1, 0]);
    for (const [i, key] of keys.entries()) {
      await redis.client.call('RESTORE', key, 3_600_000, before[i] ?? '', 'REPLACE');
    }
    await time.pass(10_000);
    assert.deepEqual(await taken(deskOf(other)), [
      [2, 0],
      [0, 100],
      [0, 2],
    ]);
    // The oldest of those under way could still be the one.
    await time.pass(100_000);
    assert.deepEqual(await taken(deskOf(other)), [
      [2, 0],
      [0, 100],
      [0, 2],
    ]);
    await deskOf(gateway).settle(long, [0, 2, 0]);
    await deskOf(gateway).take(...DEMANDS);
    await time.pass(10_000);
    assert.deepEqual(await taken(deskOf(other)), [
      [3, 0],
      [2, 50],
      [0, 1],
    ]);
    assert.equal((await records(gateway)).length, 1);
  });
});

describe('keys in Redis', () => {
  it('all expire, whatever was done', async (t) => {
    const time = new Time(NOON);
    const [one, dying] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    const sums = {
      requests: 1,
      tries: 1,
      input: 1,
      output: 1,
      cached: 0,
      cacheWrite: 0,
      reasoning: 0,
      cost: 1,
      unpriced: 0,
    };
    const entry = { key: 'ci', model: 'm', target: 'a/b', sums };
    const check = async (keys: number) => {
      const kept = await lifetimes([redis]);
      // The client's own.
      kept.delete('spillway:{!}:probe');
      assert.equal(kept.size, keys, [...kept.keys()].join(' '));
      for (const [key, ms] of kept) assert.ok(ms > 0, `${key} is kept for ever`);
      return kept;
    };
    const ticket = await deskOf(one).take(...DEMANDS);
    const kept = await check(3);
    for (const ms of kept.values()) assert.ok(ms > 34 * DAY && ms <= 35 * DAY, `${ms}`);
    await deskOf(one).settle(ticket, [0, 5, 0], [entry]);
    for (const [key, ms] of await check(5)) {
      // To the end of the day, and then as long as the ledger is kept.
      if (/usage|tenants/.test(key)) assert.ok(ms > 400 * DAY && ms <= 400.5 * DAY, `${key} ${ms}`);
    }
    // Nothing but a charge, for a tenant that Redis has not heard of.
    const charge: Ticket = {
      tenant: 'late',
      id: 'x',
      at: NOON,
      demands: [{ limit: tokens, amount: 5 }],
      held: false,
    };
    await deskOf(one, 'late').settle(charge, [5]);
    await check(7);
    // Nothing but a ledger.
    await deskOf(one, 'free').settle(await deskOf(one, 'free').take(), [], [entry]);
    await check(9);
    // Nothing was used: what was held is gone again, and comes anew.
    const only = deskOf(one, 'only');
    await only.settle(await only.take([concurrent, 1]));
    await only.take([concurrent, 1]);
    await check(12);
    // Of one that died: no longer than it could still send a batch again.
    await deskOf(dying).settle(await deskOf(dying).take(...DEMANDS));
    await deskOf(dying).take(...DEMANDS);
    await dying.die();
    await check(13);
    await time.pass(LEASE, [dying]);
    await taken(deskOf(one));
    // By now nobody holds anything, and so that list is gone.
    const ends = await check(12);
    const left = ends.get(`spillway:{acme}:r:${dying.id}`) ?? 0;
    assert.ok(left > 0.9 * DAY && left <= DAY, `${left}`);
  });

  it('do not keep the counters that a tenant in use no longer has limits for', async (t) => {
    const time = new Time(NOON);
    const gateway = await time.open(t, redis.url);
    const desk = deskOf(gateway);
    for (let i = 0; i < 50; i++) await desk.use(limit('tokens/minute', 9, [`m${i}`]), 1);
    await desk.use(limit('tokens/month', 9), 1);
    const names = async () => (await redis.call('HKEYS', 'spillway:{acme}:q')) as string[];
    assert.equal((await names()).length, 51);
    const held = await desk.take([concurrent, 1]);
    // Some go each time that the lease is renewed, and more of those that are left are looked at the fewer there are.
    for (let i = 0; i < 60 && (await names()).length > 2; i++) await time.pass(10_000);
    assert.deepEqual((await names()).sort(), ['tenant/concurrent', 'tenant/tokens/month']);
    await desk.settle(held);
    assert.deepEqual(await desk.taken(limit('tokens/month', 9)), [1, 0]);
  });
});
