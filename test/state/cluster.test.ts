import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { slotOf } from '../../src/state/slots.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { type RespStub, startRespStub } from '../support/resp-stub.ts';
import { address, counted, tagOf } from './cluster-helpers.ts';
import { COUNT, open, outcome } from './helpers.ts';

const cluster = await startRedisCluster({ after });

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
    const elsewhere = await tagOf(await cluster.another(node), cluster);
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
