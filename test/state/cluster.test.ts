import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Script } from '../../src/state/client.ts';
import { slotOf } from '../../src/state/slots.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type CleansUp, type RedisServer, startRedis, until } from '../support/redis.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { type RespStub, startRespStub } from '../support/resp-stub.ts';
import { COUNT, open, outcome, type TestState } from './helpers.ts';

const cluster = await startRedisCluster({ after });

/** Two keys of one slot, which are to count alike. */
const BOTH: Script = {
  name: 'both',
  keys: 2,
  lua: `redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])`,
};

function address({ host, port }: RedisServer): string {
  return `${host}:${port}`;
}

let tags = 0;

/** A name, not given before, whose keys are in a slot of this node. */
async function tagOf(node: RedisServer, of: RedisCluster = cluster): Promise<string> {
  for (;;) {
    const tag = `tenant-${tags++}`;
    if ((await of.owner(slotOf(tag))) === node) return tag;
  }
}

interface Traffic {
  /** Ends it; resolves to how many calls were answered, why others were not, and how long the slowest took in milliseconds. */
  stop(): Promise<{ answered: number; unavailable: string[]; slowest: number }>;
}

/** Calls without end, a few at a time. */
function traffic(t: CleansUp, call: (number: number) => Promise<unknown>): Traffic {
  let [going, number, answered, slowest] = [true, 0, 0, 0];
  const unavailable = new Set<string>();
  t.after(async () => {
    going = false;
  });
  const workers = Array.from({ length: 8 }, async () => {
    while (going) {
      const started = performance.now();
      try {
        await call(number++);
        answered++;
      } catch (error) {
        if (!(error instanceof StateUnavailable)) throw error;
        unavailable.add(error.message);
      }
      slowest = Math.max(slowest, performance.now() - started);
      // Leaves the machine to those who are called.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  return {
    async stop() {
      going = false;
      await Promise.all(workers);
      return { answered, unavailable: [...unavailable], slowest };
    },
  };
}

function settings(of: RedisCluster): { kind: 'cluster'; urls: string[] } {
  return { kind: 'cluster', urls: of.urls };
}

async function counted(of: RedisCluster, key: string): Promise<number> {
  return Number(await (await of.owner(key)).call('GET', key));
}

describe('a cluster', () => {
  it('is found by any of its nodes, and each key is kept where it belongs', async (t) => {
    for (const { url } of cluster.nodes.slice(2, 4)) {
      const state = open(t, { kind: 'cluster', urls: ['redis://127.0.0.1:1', url] });
      await Promise.all(Array.from({ length: 200 }, (_, number) => state.run(COUNT, [`k:{${number}}`], [1])));
      assert.equal(state.allUp, true);
      assert.deepEqual(state.changes, []);
    }
    for (let number = 0; number < 200; number++) assert.equal(await counted(cluster, `k:{${number}}`), 2);
  });

  it('that is not there when the process starts is away, once, and is found later', async (t) => {
    const node = await startRedis(t, { config: { 'cluster-enabled': 'yes' } });
    const [url] = [node.url];
    await node.kill();
    const state = open(t, { kind: 'cluster', urls: [url] });
    await state.started;
    assert.equal(state.isUp('a'), false);
    assert.equal(state.changes.length, 1);
    assert.match(String(state.changes[0]?.why), /ECONNREFUSED/);
    assert.match(
      String((await outcome(() => state.command('GET', 'a'))).unavailable),
      /^redis: .*ECONNREFUSED/,
    );
    await node.start();
    await until(
      () => outcome(() => state.command('GET', 'a')).then((o) => /no slots/.test(`${o.unavailable}`)),
      'it',
    );
    await node.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
    assert.deepEqual(await state.change(1), { node: 'redis', up: true, why: null });
    await until(
      () => outcome(() => state.command('SET', 'a', '1')).then(({ reply }) => reply === 'OK'),
      'it to serve',
    );
  });

  it('is not what a server by itself is, which says so', async (t) => {
    const node = await startRedis(t);
    const state = open(t, { kind: 'cluster', urls: [node.url] });
    assert.match(String((await state.change(0)).why), /cluster support disabled/);
  });

  it('whose node is taken for a server by itself says so', async (t) => {
    const node = cluster.nodes[0] as RedisServer;
    const state = open(t, node.url);
    const elsewhere = await tagOf(await cluster.another(node));
    const { unavailable } = await outcome(() => state.command('GET', `{${elsewhere}}`));
    assert.match(String(unavailable), /it is one of a cluster/);
  });

  it('has users, and the same for all nodes', async (t) => {
    for (const node of cluster.nodes)
      await node.call('ACL', 'SETUSER', 'ann', 'on', '>x', '~*', '&*', '+@all');
    const first = cluster.nodes[0] as RedisServer;
    const state = open(t, { kind: 'cluster', urls: [first.urlFor('ann', 'x').replace('/0', '')] });
    for (let number = 0; number < 50; number++) await state.command('SET', `u:{${number}}`, '1');
    for (const node of cluster.nodes.slice(0, 3)) {
      assert.match(String(await node.call('CLIENT', 'LIST')), /name=spillway-g1 .*user=ann/);
    }
  });
});

describe('a cluster that says strange things', () => {
  it('sends callers round in circles only so often', async (t) => {
    const stub: RespStub = await startRespStub(t, ([command, word]) => {
      if (command === 'CLUSTER') return [[0, 16383, ['127.0.0.1', stub.port]]];
      if (command === 'GET') return `-MOVED ${slotOf(`${word}`)} 127.0.0.1:${stub.port}`;
      return command === 'EVAL' ? ['1', '0'] : undefined;
    });
    const clock = new ManualClock();
    const state = open(t, { kind: 'cluster', urls: [`redis://127.0.0.1:${stub.port}`] }, { clock });
    const { unavailable } = await outcome(() => state.command('GET', 'a'));
    assert.match(String(unavailable), /it is one of a cluster and sends us to another \(MOVED\)/);
    const asked = (what: string) => stub.asked.filter(([command]) => command === what).length;
    assert.equal(asked('GET'), 6);
    // Each time is reason to ask who holds what, but not at once.
    await clock.advanceAsync(99);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(asked('CLUSTER'), 1);
    await clock.advanceAsync(1);
    await until(() => asked('CLUSTER') === 2, 'it to be asked');
  });

  it('names nodes without a host where it does not know its own, and they are where it is', async (t) => {
    const node = await startRedis(t);
    const stub = await startRespStub(t, ([command]) =>
      command === 'CLUSTER' ? [[0, 16383, ['', node.port]]] : undefined,
    );
    const state = open(t, { kind: 'cluster', urls: [`redis://127.0.0.1:${stub.port}`] });
    assert.equal(await state.command('SET', 'a', '1'), 'OK');
    assert.equal(await node.call('GET', 'a'), '1');
    await node.kill();
    assert.equal((await state.change(0)).node, address(node));
  });

  it('or nothing at all is not asked any more once the client is closed', async (t) => {
    const clock = new ManualClock();
    const node = await startRedis(t);
    node.freeze();
    const state = open(t, { kind: 'cluster', urls: [node.url] }, { clock });
    await new Promise(setImmediate);
    assert.ok(clock.pending > 0);
    await state.close();
    await new Promise(setImmediate);
    assert.equal(clock.pending, 0);
    assert.deepEqual(state.changes, []);
  });
});

describe('a slot that is moved', () => {
  it('loses no call and doubles none, one key or two', async (t) => {
    const state = open(t, settings(cluster));
    const from = cluster.nodes[0] as RedisServer;
    const tag = await tagOf(from);
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
    const [tag, to] = [await tagOf(from), await cluster.another(from)];
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
    const tag = await tagOf(from);
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

describe('a master of a cluster', () => {
  it('that hands over to its replica loses no call', async (t) => {
    const state = open(t, settings(cluster));
    const master = await cluster.owner(0);
    const tag = await tagOf(master);
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
    const names = await Promise.all(Array.from({ length: 50 }, () => tagOf(master)));
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
    const tag = await tagOf(master);
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
