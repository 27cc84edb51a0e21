import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ManualClock } from '../support/manual-clock.ts';
import { type CleansUp, type RedisServer, until } from '../support/redis.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { address, counted, settings, tagOf, traffic } from './cluster-helpers.ts';
import { COUNT, open, outcome, type TestState } from './helpers.ts';

const cluster = await startRedisCluster({ after });

describe('a master of a cluster', () => {
  it('that hands over to its replica loses no call', async (t) => {
    const state = open(t, settings(cluster));
    const master = await cluster.owner(0);
    const tag = await tagOf(master, cluster);
    const calls = traffic(t, () => state.run(COUNT, [`{${tag}}`], [1]));
    await cluster.failOver(master);
    const { answered, unavailable } = await calls.stop();
    assert.deepEqual(unavailable, []);
    assert.equal(await counted(cluster, `{${tag}}`), answered);
    assert.deepEqual(state.changes, []);
  });

  it('that handed over sends a caller away once, not for each slot', async (t) => {
    const state = open(t, settings(cluster));
    await state.started;
    const master = await cluster.owner(6000);
    const names = await Promise.all(Array.from({ length: 50 }, () => tagOf(master, cluster)));
    const [first = '', ...others] = names;
    await cluster.failOver(master);
    await master.call('CONFIG', 'RESETSTAT');
    await state.run(COUNT, [`{${first}}`], [1]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const name of others) await state.run(COUNT, [`{${name}}`], [1]);
    assert.match(String(await master.call('INFO', 'errorstats')), /errorstat_MOVED:count=1\b/);
    assert.deepEqual(state.changes, []);
  });

  it('that hands over while nobody calls is followed without a word', async (t) => {
    const clock = new ManualClock();
    const state = open(t, settings(cluster), { clock });
    await state.started;
    const master = await cluster.owner(12000);
    const tag = await tagOf(master, cluster);
    const heir = await cluster.failOver(master);
    await master.call('CONFIG', 'RESETSTAT');
    await until(async () => {
      await clock.advanceAsync(100);
      // It was asked for a write, and then who holds what.
      return /errorstat_MOVED/.test(String(await master.call('INFO', 'errorstats')));
    }, 'a probe');
    assert.ok(clock.now() < 6_000);
    await until(async () => {
      await clock.advanceAsync(10);
      return !/name=spillway/.test(String(await master.call('CLIENT', 'LIST')));
    }, 'its connection to be closed');
    assert.ok(clock.now() < 7_000);
    await state.run(COUNT, [`{${tag}}`], [1]);
    assert.equal(Number(await heir.call('GET', `{${tag}}`)), 1);
    assert.deepEqual(state.changes, []);
  });
});

// Each has a cluster of its own and mostly waits for it.
describe('a master of a cluster that is lost', { concurrency: true }, () => {
  async function start(t: CleansUp): Promise<{
    of: RedisCluster;
    state: TestState;
    master: RedisServer;
    tag: string;
    other: string;
  }> {
    // Otherwise, where some slots are without a master, the others refuse as well.
    const of = await startRedisCluster(t, { config: { 'cluster-require-full-coverage': 'no' } });
    const state = open(t, settings(of));
    await state.started;
    const master = of.nodes[0] as RedisServer;
    return {
      of,
      state,
      master,
      tag: await tagOf(master, of),
      other: await tagOf(await of.another(master), of),
    };
  }

  it('that dies is away, alone, until its replica has taken over', async (t) => {
    const { of, state, master, tag, other } = await start(t);
    const [calls, elsewhere] = [tag, other].map((name) =>
      traffic(t, () => state.run(COUNT, [`{${name}}`], [1])),
    );
    const heir = await of.killMaster(master);
    await until(() => state.isUp(`{${tag}}`), 'the replica to take over', 1_500);
    assert.notEqual((await outcome(() => state.run(COUNT, [`{${tag}}`], [1]))).reply, undefined);
    const here = await calls?.stop();
    const there = await elsewhere?.stop();
    assert.ok((here?.unavailable.length ?? 0) > 0);
    assert.ok((here?.slowest ?? 0) < 1_500, `one took ${here?.slowest} ms`);
    assert.deepEqual(there?.unavailable, []);
    assert.equal(state.allUp, true);
    const name = address(master);
    assert.deepEqual(
      state.changes.map(({ node, up }) => ({ node, up })),
      [
        { node: name, up: false },
        { node: name, up: true },
      ],
    );
    assert.equal(state.changes[1]?.why, `${address(heir)} has taken its place`);
    // It comes back as a replica of the other: no news.
    await master.start();
    await of.ok();
    await state.run(COUNT, [`{${tag}}`], [1]);
    // Nor is it that it leads again.
    await until(
      () =>
        of.failOver(heir).then(
          () => true,
          () => false,
        ),
      'it to lead again',
    );
    const again = traffic(t, () => state.run(COUNT, [`{${tag}}`], [1]));
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual((await again.stop()).unavailable, []);
    assert.equal(state.changes.length, 2);
  });

  it('that is frozen is away, alone, until its replica has taken over', async (t) => {
    const { of, state, master, tag, other } = await start(t);
    const elsewhere = traffic(t, () => state.run(COUNT, [`{${other}}`], [1]));
    master.freeze();
    const { unavailable } = await outcome(() => state.run(COUNT, [`{${tag}}`], [1]));
    assert.equal(unavailable, `${address(master)}: no answer within 1000 ms`);
    assert.equal(state.isUp(`{${tag}}`), false);
    assert.equal(state.isUp(`{${other}}`), true);
    assert.equal(state.allUp, false);
    assert.equal((await state.change(1)).up, true);
    assert.equal(await state.run(COUNT, [`{${tag}}`], [1]), 1);
    const { unavailable: others } = await elsewhere.stop();
    assert.deepEqual(others, []);
    master.thaw();
    await of.ok();
  });

  it('that dies without a replica is back when it is', async (t) => {
    const of = await startRedisCluster(t, { replicas: 0, config: { 'cluster-require-full-coverage': 'no' } });
    const state = open(t, settings(of));
    const master = of.nodes[0] as RedisServer;
    const [tag, other] = [await tagOf(master, of), await tagOf(of.nodes[1] as RedisServer, of)];
    await state.run(COUNT, [`{${tag}}`], [1]);
    await master.kill();
    assert.equal((await state.change(0)).node, address(master));
    assert.equal((await outcome(() => state.run(COUNT, [`{${other}}`], [1]))).unavailable, null);
    await master.start();
    assert.deepEqual(await state.change(1), { node: address(master), up: true, why: null });
    assert.equal(await state.run(COUNT, [`{${tag}}`], [1]), 1);
  });

  it('that dies takes the others with it where the cluster wants all its slots, and all are back with its replica', async (t) => {
    const of = await startRedisCluster(t);
    const state = open(t, settings(of));
    await state.started;
    const calls = traffic(t, (number) => state.run(COUNT, [`{${number % 100}}`], [1]));
    await of.killMaster(of.nodes[0] as RedisServer);
    await until(() => state.allUp, 'all to be back');
    const { slowest } = await calls.stop();
    assert.ok(slowest < 1_500, `one took ${slowest} ms`);
    for (let number = 0; number < 100; number++) await state.run(COUNT, [`{${number}}`], [1]);
    for (const name of new Set(state.changes.map(({ node }) => node))) {
      const ups = state.changes.filter(({ node }) => node === name).map(({ up }) => up);
      assert.deepEqual(
        ups,
        ups.map((_, index) => index % 2 === 1),
        `${name}: away and back in turn`,
      );
      assert.equal(ups.at(-1), true);
    }
  });
});
