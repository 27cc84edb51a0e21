import assert from 'node:assert/strict';
import { after, beforeEach, describe, it, type TestContext } from 'node:test';
import type { Limit } from '../../src/quota/limits.ts';
import { SCRIPTS } from '../../src/quota/redis/scripts.ts';
import { RedisStore } from '../../src/quota/redis/store.ts';
import type { Verdict } from '../../src/quota/store.ts';
import type { StateClient } from '../../src/state/client.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { Gate } from '../support/upstream.ts';
import { away, back, deskOf, openGateway, settled } from './redis-rig.ts';
import { Desk, limit, newId } from './suite/kit.ts';

const redis = await startRedis({ after });
beforeEach(() => redis.call('FLUSHALL'));

const requests = limit('requests/month', 1e9);
const tokens = limit('tokens/month', 1e12);
const concurrent = limit('concurrent', 1e6);

async function figure(section: string, pattern: RegExp): Promise<number> {
  return Number(pattern.exec(String(await redis.call('INFO', section)))?.[1] ?? 0);
}

const scriptsRun = () => figure('commandstats', /cmdstat_evalsha:calls=(\d+)/);

/** A gateway that Redis knows the scripts of, and of which a tenant has a lease. */
async function setUp(t: TestContext, tenant = 'acme') {
  const gateway = await openGateway(t, redis.url);
  const desk = deskOf(gateway, tenant);
  await desk.settle(await desk.take([concurrent, 1]));
  await redis.call('CONFIG', 'RESETSTAT');
  return { gateway, desk };
}

/** Of a gateway whose scripts are run by something that stands before Redis. */
async function deskBehind(
  t: TestContext,
  clock: ManualClock,
  before: (client: StateClient) => StateClient['run'],
): Promise<Desk> {
  const { client, id } = await openGateway(t, redis.url);
  const standing: StateClient = {
    run: before(client),
    command: (...args) => client.command(...args),
    time: () => client.time(),
    isUp: () => true,
    allUp: true,
    onChange: () => () => {},
    close: async () => {},
  };
  const options = { keyPrefix: 'spillway', gateway: id, clock, ledgerDays: 400, commandTimeout: 1_000 };
  const store = new RedisStore({ ...options, client: standing, onFault: assert.fail });
  t.after(() => store.close());
  return new Desk({ store, setTime() {}, now: Date.now, another: null });
}

function kinds(verdicts: readonly Verdict[]): string {
  return verdicts.map(({ kind }) => (kind === 'admitted' ? '+' : '-')).join('');
}

describe('admissions of one turn of the event loop', () => {
  it('are one call for each tenant', async (t) => {
    const { gateway, desk } = await setUp(t);
    const other = deskOf(gateway, 'umbrella');
    const asked = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? desk : other).take([requests, 1]));
    await Promise.all(asked);
    assert.equal(await scriptsRun(), 2);
    assert.deepEqual(await desk.taken(requests), [20, 0]);
    assert.deepEqual(await other.taken(requests), [20, 0]);
  });

  it('leave in one write, whatever the number of tenants', async (t) => {
    const { gateway } = await setUp(t);
    const reads = () => figure('stats', /total_reads_processed:(\d+)/);
    const before = await reads();
    await Promise.all(Array.from({ length: 30 }, (_, i) => deskOf(gateway, `t${i}`).take([requests, 1])));
    // Ours, the question itself, and as many again for whatever a connection is asked now and then.
    assert.ok((await reads()) - before <= 4);
    assert.equal(await scriptsRun(), 30);
  });

  it('are given in the order in which they were asked for, as far as the limit goes', async (t) => {
    const { desk } = await setUp(t);
    const [few, more] = [limit('tokens/minute', 100), limit('requests/hour', 4)];
    const amounts = [60, 50, 40, 1, 0, 0, 0];
    const verdicts = await Promise.all(
      amounts.map((amount) =>
        desk.ask([
          [few, amount],
          [more, 1],
        ]),
      ),
    );
    assert.equal(kinds(verdicts), '+-+-++-');
    assert.deepEqual(
      verdicts.map(({ standings }) => standings.map(({ used, reserved }) => used + reserved)),
      [
        [60, 1],
        [60, 1],
        [100, 2],
        [100, 2],
        [100, 3],
        [100, 4],
        [100, 4],
      ],
    );
  });

  it('charge nobody for one that is refused among them', async (t) => {
    const { desk } = await setUp(t);
    const few = limit('tokens/minute', 100);
    const demands = [
      [requests, 1],
      [concurrent, 1],
    ] as const;
    const verdicts = await Promise.all([
      desk.ask([...demands, [few, 30]]),
      desk.ask([...demands, [few, 101]]),
      desk.ask([...demands, [few, 30]]),
    ]);
    assert.equal(kinds(verdicts), '+-+');
    assert.deepEqual(await desk.taken(requests), [2, 0]);
    assert.deepEqual(await desk.taken(concurrent), [0, 2]);
    assert.deepEqual(await desk.taken(few), [0, 60]);
    for (const verdict of verdicts) if (verdict.kind === 'admitted') await desk.settle(verdict.ticket);
    assert.deepEqual(await desk.taken(concurrent), [0, 0]);
  });

  it('find the room of what ended in the same turn', async (t) => {
    const { gateway, desk } = await setUp(t);
    const one = limit('concurrent', 1);
    let ticket = await desk.take([one, 1]);
    for (let i = 0; i < 5; i++) {
      gateway.store.settle({ ticket, used: [0], ledger: [] });
      ticket = await desk.take([one, 1]);
      await settled(gateway);
    }
  });

  it('find the room of what ended while the settlement before it was on its way', async (t) => {
    const { gateway, desk } = await setUp(t);
    const two = limit('concurrent', 2);
    for (let i = 0; i < 5; i++) {
      const [first, second] = [await desk.take([two, 1]), await desk.take([two, 1])];
      gateway.store.settle({ ticket: first, used: [0], ledger: [] });
      await new Promise(setImmediate);
      gateway.store.settle({ ticket: second, used: [0], ledger: [] });
      const next = await Promise.all([desk.take([two, 1]), desk.take([two, 1])]);
      for (const ticket of next) await desk.settle(ticket);
    }
  });

  it('are refused as they were, where Redis is away when they are asked for once more', async (t) => {
    const seen: string[] = [];
    const refused = new Gate();
    const desk = await deskBehind(t, new ManualClock(Date.now()), (client) => async (script, keys, args) => {
      const name = script === SCRIPTS.admit ? 'admit' : 'settle';
      seen.push(name);
      if (seen.join(' ') === 'admit settle admit admit') throw new StateUnavailable('Redis is away');
      if (name === 'settle') await refused.passed();
      const answer = await client.run(script, keys, args);
      if (seen.length === 3) refused.open();
      return answer;
    });
    const one = limit('concurrent', 1);
    desk.store.settle({ ticket: await desk.take([one, 1]), used: [0], ledger: [] });
    await new Promise(setImmediate);
    await desk.refused([one, 1]);
    assert.deepEqual(seen, ['admit', 'settle', 'admit', 'admit']);
  });

  it('take once what is asked for twice', async (t) => {
    const { desk } = await setUp(t);
    const id = newId();
    const demands = [
      [requests, 1],
      [tokens, 50],
    ] as const;
    const verdicts = await Promise.all([desk.ask(demands, id), desk.ask(demands), desk.ask(demands, id)]);
    assert.equal(kinds(verdicts), '+++');
    assert.deepEqual(await desk.taken(tokens), [0, 100]);
    assert.deepEqual(verdicts[2].standings, verdicts[1].standings);
    for (const verdict of verdicts.slice(0, 2)) {
      if (verdict.kind === 'admitted') await desk.settle(verdict.ticket, [0, 7]);
    }
    assert.deepEqual(await desk.taken(tokens), [14, 0]);
  });

  it('keep each to its own of two limits that share a counter, as after a reload', async (t) => {
    const { desk } = await setUp(t);
    const [before, since] = [limit('tokens/minute', 100), limit('tokens/minute', 50)];
    const asked = [before, since, before, since].map((of) => desk.ask([[of, 40]]));
    assert.equal(kinds(await Promise.all(asked)), '+-+-');
    assert.deepEqual(await desk.taken(before), [0, 80]);
  });

  it('are several calls where they are many', async (t) => {
    const { desk } = await setUp(t);
    const few = limit('requests/day', 240);
    const verdicts = await Promise.all(Array.from({ length: 250 }, () => desk.ask([[few, 1]])));
    assert.equal(await scriptsRun(), 5);
    assert.equal(kinds(verdicts), '+'.repeat(240) + '-'.repeat(10));
  });

  it('are several calls where they ask for much', async (t) => {
    const { desk } = await setUp(t);
    const limits = Array.from({ length: 90 }, (_, i) => limit('tokens/day', 25, [`m${i}`]));
    const asked = (of: readonly Limit[]) => desk.ask(of.map((one) => [one, 10]));
    const lengths = [90, 90, 90, 10, 10];
    const verdicts = await Promise.all(lengths.map((length) => asked(limits.slice(0, length))));
    assert.equal(await scriptsRun(), 2);
    assert.equal(kinds(verdicts), '++---');
    await redis.call('CONFIG', 'RESETSTAT');
    const wide = Array.from({ length: 700 }, (_, i) => limit('tokens/hour', 25, [`m${i}`]));
    assert.equal(kinds(await Promise.all([asked(wide), asked(limits.slice(0, 1)), asked(wide)])), '+-+');
    assert.equal(await scriptsRun(), 3);
  });

  it('are undone, all of them, where the connection is cut before the answer', async (t) => {
    const proxy = await startTcpProxy(t, redis.port);
    const clock = new ManualClock(1_000);
    const gateway = await openGateway(t, proxy.url, { commandTimeout: 200, clock });
    const desk = deskOf(gateway);
    const onlooker = deskOf(await openGateway(t, redis.url));
    const before = await desk.take([requests, 1], [tokens, 9]);
    for (const way of [proxy.toClient, proxy.toServer]) {
      way.swallow = true;
      const asked = Array.from({ length: 10 }, () => desk.take([requests, 1], [tokens, 50]));
      const cut = Promise.allSettled(asked);
      await onlooker.taken(tokens);
      await new Promise(setImmediate);
      if (way === proxy.toClient) {
        while ((await onlooker.taken(tokens))[1] === 9) await new Promise(setImmediate);
        assert.deepEqual(await onlooker.taken(tokens), [0, 509]);
      }
      proxy.cut();
      for (const end of await cut)
        assert.ok(end.status === 'rejected' && end.reason instanceof StateUnavailable);
      await away(gateway);
      await back(gateway, proxy);
      // Real time, since it is Redis' own that has to pass until they cannot happen any more.
      await new Promise((resolve) => setTimeout(resolve, 450));
      for (let i = 0; i < 5; i++) {
        clock.advance(1_000);
        await settled(gateway);
      }
      assert.deepEqual(await onlooker.taken(tokens), [0, 9]);
      assert.deepEqual(await onlooker.taken(requests), [1, 0]);
    }
    await desk.settle(before, [0, 5]);
    assert.deepEqual(await onlooker.taken(tokens), [5, 0]);
  });

  it('are told of to the unit, however large the numbers are', async (t) => {
    const { desk } = await setUp(t);
    const most = limit('usd/month', Number.MAX_SAFE_INTEGER);
    const [first, second] = await Promise.all([
      desk.ask([[most, 4_503_599_627_370_497]]),
      desk.ask([[most, 1]]),
    ]);
    assert.equal(first.standings[0]?.reserved, 4_503_599_627_370_497);
    assert.equal(second.standings[0]?.reserved, 4_503_599_627_370_498);
    const rest = Number.MAX_SAFE_INTEGER - 4_503_599_627_370_498;
    assert.equal(kinds(await Promise.all([desk.ask([[most, rest + 1]]), desk.ask([[most, rest]])])), '-+');
  });

  it('leave nothing to be looked after where they were refused', async (t) => {
    const clock = new ManualClock(1_000);
    const gateway = await openGateway(t, redis.url, { clock });
    const none = limit('tokens/minute', 0);
    await Promise.all([deskOf(gateway).refused([none, 1]), deskOf(gateway).refused([none, 1])]);
    for (let i = 0; i < 30; i++) {
      clock.advance(1_000);
      await settled(gateway);
    }
    assert.equal(clock.pending, 0);
  });

  it('are not forgotten where they are asked for just as the tenant would be', async (t) => {
    const clock = new ManualClock(1_000);
    const gateway = await openGateway(t, redis.url, { clock });
    const desk = deskOf(gateway);
    await desk.settle(await desk.take([concurrent, 1]));
    clock.advance(5_000);
    await settled(gateway);
    const asked = desk.take([concurrent, 1]);
    clock.advance(5_000);
    await desk.settle(await asked);
    assert.deepEqual(await desk.taken(concurrent), [0, 0]);
  });

  it('are refused, and held by nobody, where Redis says again and again that they come too late', async (t) => {
    const clock = new ManualClock(1_000);
    const leases: unknown[] = [];
    const desk = await deskBehind(t, clock, (client) => async (script, keys, args) => {
      if (script !== SCRIPTS.admit) return await client.run(script, keys, args);
      leases.push(args[3]);
      return '-1 0';
    });
    for (const end of await Promise.allSettled([desk.take([requests, 1]), desk.take([requests, 1])])) {
      assert.ok(end.status === 'rejected' && end.reason instanceof StateUnavailable);
    }
    assert.equal(leases.length, 2);
    assert.ok(!leases.includes(''), 'the lease that was not renewed is not asked for again');
    for (let i = 0; i < 30; i++) clock.advance(1_000);
    assert.equal(clock.pending, 0);
  });

  it('are refused by a store that is closed before it sent them', async (t) => {
    const { gateway, desk } = await setUp(t);
    const asked = Promise.allSettled([desk.take([requests, 1]), desk.take([requests, 1])]);
    await gateway.store.close();
    for (const end of await asked)
      assert.ok(end.status === 'rejected' && end.reason instanceof StateUnavailable);
    assert.deepEqual(await deskOf(await openGateway(t, redis.url)).taken(requests), [0, 0]);
  });
});
