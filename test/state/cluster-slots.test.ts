import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Script } from '../../src/state/client.ts';
import { slotOf } from '../../src/state/slots.ts';
import { type RedisServer, until } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { address, counted, settings, tagOf, traffic } from './cluster-helpers.ts';
import { COUNT, open, outcome } from './helpers.ts';

const cluster = await startRedisCluster({ after });

/** Two keys of one slot, which are to count alike. */
const BOTH: Script = {
  lua: `redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])`,
};

describe('a slot that is moved', () => {
  it('loses no call and doubles none, one key or two', async (t) => {
    const state = open(t, settings(cluster));
    const from = cluster.nodes[0] as RedisServer;
    const tag = await tagOf(from, cluster);
    const keys = [`{${tag}}:a`, `{${tag}}:b`];
    await state.run(BOTH, keys, []);
    const calls = traffic(t, (number) =>
      number % 2 === 0 ? state.run(BOTH, keys, []) : state.run(COUNT, [`{${tag}}:${number % 50}`], [1]),
    );
    const to = await cluster.another(from);
    // There and back, in small steps, with pauses in which keys are here and there.
    for (const target of [to, from]) {
      await cluster.migrateSlot(slotOf(tag), target, () => new Promise((resolve) => setTimeout(resolve, 20)));
    }
    const { answered, unavailable } = await calls.stop();
    assert.deepEqual(unavailable, []);
    const single = await Promise.all(Array.from({ length: 50 }, (_, n) => counted(cluster, `{${tag}}:${n}`)));
    const [a = 0, b = 0] = await Promise.all(keys.map((key) => counted(cluster, key)));
    assert.equal(a, b);
    assert.equal(a - 1 + single.reduce((sum, one) => sum + one, 0), answered);
    assert.ok(answered > 100, `only ${answered} calls`);
    assert.deepEqual(state.changes, []);
  });

  it('sends a caller away once', async (t) => {
    const state = open(t, settings(cluster));
    const from = await cluster.owner(0);
    const [tag, to] = [await tagOf(from, cluster), await cluster.another(from)];
    await state.run(COUNT, [`{${tag}}`], [1]);
    await cluster.migrateSlot(slotOf(tag), to);
    await from.call('CONFIG', 'RESETSTAT');
    await state.run(COUNT, [`{${tag}}`], [1]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (let number = 0; number < 20; number++) await state.run(COUNT, [`{${tag}}`], [1]);
    assert.match(String(await from.call('INFO', 'errorstats')), /errorstat_MOVED:count=1\b/);
  });

  it('and is stuck half way keeps only its own calls waiting, within the timeout', async (t) => {
    const state = open(t, settings(cluster));
    const from = cluster.nodes[0] as RedisServer;
    const tag = await tagOf(from, cluster);
    const to = await cluster.another(from);
    await Promise.all(['a', 'b'].map((name) => state.run(COUNT, [`{${tag}}:${name}`], [1])));
    await cluster.beginMigration(slotOf(tag), to);
    await cluster.moveKeys(slotOf(tag), to, 1);
    const stuck = await outcome(() => state.run(BOTH, [`{${tag}}:a`, `{${tag}}:b`], []));
    assert.equal(stuck.unavailable, `${address(from)}: the slot is being moved (TRYAGAIN)`);
    assert.ok(stuck.took < 1_500, `it took ${stuck.took} ms`);
    assert.equal(state.allUp, true);
    while ((await cluster.moveKeys(slotOf(tag), to, 10)) > 0);
    await cluster.endMigration(slotOf(tag), to);
    assert.equal((await outcome(() => state.run(BOTH, [`{${tag}}:a`, `{${tag}}:b`], []))).unavailable, null);
    assert.deepEqual(state.changes, []);
  });

  it('and has none of the keys yet keeps only its own calls waiting, and blames nobody', async (t) => {
    const state = open(t, settings(cluster));
    const from = cluster.nodes[0] as RedisServer;
    const tag = await tagOf(from, cluster);
    const to = await cluster.another(from);
    const both = () => outcome(() => state.run(BOTH, [`{${tag}}:a`, `{${tag}}:b`], []));
    await cluster.beginMigration(slotOf(tag), to);
    // The one says ask the other, and that one says try again, until the slot has moved.
    const stuck = await both();
    assert.match(stuck.unavailable ?? '', /: the slot is being moved \(TRYAGAIN\)$/);
    assert.equal(state.allUp, true);
    await cluster.endMigration(slotOf(tag), to);
    assert.equal((await both()).unavailable, null);
    assert.deepEqual(state.changes, []);
  });

  it('to a node that had none is followed there', async (t) => {
    const small = await startRedisCluster(t, { masters: 3, replicas: 0 });
    const [first, , last] = small.nodes as [RedisServer, RedisServer, RedisServer];
    const tag = await tagOf(first, small);
    // The last one gives away all that it has, and is a node without slots.
    const slots = (await last.call('CLUSTER', 'SHARDS')) as unknown[];
    assert.equal(slots.length, 3);
    await last.call('FLUSHALL');
    for (const node of small.nodes) await node.call('CLUSTER', 'DELSLOTSRANGE', 10923, 16383);
    await first.call('CLUSTER', 'ADDSLOTSRANGE', 10923, 16383);
    await small.ok();
    await until(async () => (await small.owner(16383)) === first, 'the slots to be given away');
    const state = open(t, settings(small));
    await Promise.all(Array.from({ length: 20 }, (_, n) => state.run(COUNT, [`{${tag}}:${n}`], [1])));
    const calls = traffic(t, (number) => state.run(COUNT, [`{${tag}}:${number % 20}`], [1]));
    await small.migrateSlot(slotOf(tag), last, () => new Promise((resolve) => setTimeout(resolve, 20)));
    const { answered, unavailable } = await calls.stop();
    assert.deepEqual(unavailable, []);
    const counts = await Promise.all(Array.from({ length: 20 }, (_, n) => counted(small, `{${tag}}:${n}`)));
    assert.equal(
      counts.reduce((sum, one) => sum + one, 0),
      20 + answered,
    );
  });
});
