import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HICCUP } from '../support/hiccup.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { COUNT, open, outcome } from './helpers.ts';

const BACK = { node: 'redis', up: true, why: null };

describe('a Redis that is frozen', () => {
  it('keeps no call longer than the timeout, and then none at all, until it is thawed', async (t) => {
    const redis = await startRedis(t);
    const state = open(t, redis.url, { commandTimeout: 250 });
    await state.started;
    redis.freeze();
    const first = await Promise.all(
      Array.from({ length: 500 }, (_, index) => outcome(() => state.run(COUNT, [`k${index}`], [1]), 500)),
    );
    for (const { took, late, unavailable } of first) {
      assert.equal(unavailable, 'redis: no answer within 250 ms');
      assert.ok(took >= 250 && !late, `it took ${took} ms`);
    }
    assert.equal(state.isUp('k0'), false);
    assert.equal(state.allUp, false);
    for (let round = 0; round < 20; round++) {
      const { late, unavailable } = await outcome(() => state.run(COUNT, ['k0'], [1]), 0);
      assert.equal(unavailable, 'redis: no answer within 250 ms');
      assert.equal(late, false);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    redis.thaw();
    assert.deepEqual(await state.change(1), BACK);
    assert.equal((await outcome(() => state.run(COUNT, ['new'], [1]))).reply, 1);
    assert.equal(state.changes.length, 2);
  });

  it('from the start keeps nobody longer either', async (t) => {
    const redis = await startRedis(t);
    redis.freeze();
    const state = open(t, redis.url, { commandTimeout: 250 });
    const { took, late, unavailable } = await outcome(() => state.run(COUNT, ['a'], [1]), 500);
    assert.equal(unavailable, 'redis: no answer within 250 ms');
    assert.ok(took >= 250 && !late, `it took ${took} ms`);
    await state.started;
    redis.thaw();
    assert.deepEqual(await state.change(1), BACK);
  });

  it('is found out without a call', async (t) => {
    const clock = new ManualClock();
    const redis = await startRedis(t);
    const state = open(t, redis.url, { clock, commandTimeout: 250 });
    await state.started;
    redis.freeze();
    await clock.advanceAsync(5_000);
    await clock.advanceAsync(249);
    assert.equal(state.allUp, true);
    await clock.advanceAsync(1);
    await clock.advanceAsync(0);
    assert.deepEqual(state.changes, [{ node: 'redis', up: false, why: 'no answer within 250 ms' }]);
  });
});

describe('a Redis that is stopped', () => {
  it('is away at once, without a call, and back when it is started, empty', async (t) => {
    const redis = await startRedis(t);
    const state = open(t, redis.url);
    assert.equal(await state.run(COUNT, ['a'], [5]), 5);
    await redis.stop();
    assert.equal((await state.change(0)).up, false);
    await redis.start();
    assert.deepEqual(await state.change(1), BACK);
    assert.equal(await state.run(COUNT, ['a'], [1]), 1);
    assert.equal(state.changes.length, 2);
  });

  it('may be stopped when the process starts', async (t) => {
    const redis = await startRedis(t);
    await redis.stop();
    const state = open(t, redis.url, { commandTimeout: 10 * HICCUP });
    assert.equal(state.isUp('a'), true);
    const { took, unavailable } = await outcome(() => state.command('GET', 'a'));
    assert.match(String(unavailable), /^redis: connect ECONNREFUSED/);
    assert.ok(took < HICCUP, `it took ${took} ms`);
    await state.started;
    assert.equal(state.changes.length, 1);
    await redis.start();
    assert.deepEqual(await state.change(1), BACK);
    assert.equal(await state.command('SET', 'a', '1'), 'OK');
  });

  it('is not mistaken for one that was away in the meantime', async (t) => {
    const redis = await startRedis(t);
    const state = open(t, redis.url);
    await state.started;
    for (let round = 0; round < 3; round++) {
      await redis.restartEmpty();
      assert.equal((await state.change(round * 2)).up, false);
      assert.equal((await state.change(round * 2 + 1)).up, true);
    }
  });
});

describe('a Redis at the end of a slow line', () => {
  it('is there while answers come within the timeout, and away while they do not', async (t) => {
    const redis = await startRedis(t);
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url, { commandTimeout: 250 });
    // From now on Redis knows the script; to tell it takes another round trip.
    await state.run(COUNT, ['a'], [0]);
    proxy.toClient.delay = 150;
    const slow = await outcome(() => state.run(COUNT, ['a'], [1]));
    assert.equal(slow.reply, 1);
    assert.ok(slow.took >= 150);
    proxy.toServer.delay = 150;
    const tooSlow = await outcome(() => state.run(COUNT, ['a'], [1]));
    assert.equal(tooSlow.unavailable, 'redis: no answer within 250 ms');
    const { connections } = proxy;
    // Long enough for several of our own attempts, all of which are answered too late.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal(state.isUp('a'), false);
    assert.equal(state.changes.length, 1);
    // What comes late comes all the same: this is no reason for another connection.
    assert.equal(proxy.connections, connections);
    proxy.toServer.delay = 0;
    const mended = performance.now();
    assert.deepEqual(await state.change(1), BACK);
    assert.ok(performance.now() - mended < 1_000, `it took ${performance.now() - mended} ms`);
    assert.equal(await state.run(COUNT, ['a'], [1]), 3);
  });

  it('that loses all packets without a word is reached by another connection', async (t) => {
    const redis = await startRedis(t);
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url, { commandTimeout: 100 });
    await state.started;
    const { connections } = proxy;
    // As a firewall does that has forgotten a connection: this one will never again be of use.
    proxy.toClient.swallow = true;
    proxy.toServer.swallow = true;
    assert.notEqual((await outcome(() => state.command('GET', 'a'))).unavailable, null);
    await until(() => proxy.connections > connections, 'another connection');
    proxy.toClient.swallow = false;
    proxy.toServer.swallow = false;
    assert.deepEqual(await state.change(1), BACK);
  });

  it('is not blamed for a process that was busy itself', async (t) => {
    const redis = await startRedis(t);
    const state = open(t, redis.url, { commandTimeout: 100 });
    await state.started;
    const call = state.command('GET', 'a');
    await new Promise(setImmediate);
    const end = performance.now() + 300;
    while (performance.now() < end);
    assert.equal(await call, null);
    assert.deepEqual(state.changes, []);
  });
});

describe('a connection that breaks', () => {
  it('fails what is under way, and is replaced at once', async (t) => {
    const clock = new ManualClock();
    const redis = await startRedis(t);
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url, { clock });
    await state.started;
    proxy.toClient.hold();
    const calls = Array.from({ length: 10 }, () => outcome(() => state.command('GET', 'a')));
    await new Promise(setImmediate);
    proxy.cut();
    proxy.toClient.release();
    for (const { unavailable } of await Promise.all(calls)) assert.match(String(unavailable), /^redis: /);
    // What the others are told is what is known of Redis, not what became of those.
    const { unavailable } = await outcome(() => state.command('GET', 'a'));
    assert.equal(unavailable, `redis: ${state.changes[0]?.why}`);
    clock.advance(25);
    assert.deepEqual(await state.change(1), BACK);
    assert.equal(state.changes.length, 2);
  });

  it('is replaced as quickly each time, if it was of use in between', async (t) => {
    const clock = new ManualClock();
    const redis = await startRedis(t);
    const state = open(t, redis.url, { clock });
    await state.started;
    for (let round = 0; round < 8; round++) {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      assert.equal((await state.change(round * 2)).up, false);
      clock.advance(25);
      assert.equal((await state.change(round * 2 + 1)).up, true);
    }
  });

  it('is not looked after any more once the client is closed', async (t) => {
    const clock = new ManualClock();
    const redis = await startRedis(t);
    const state = open(t, redis.url, { clock });
    await state.started;
    await redis.kill();
    await state.change(0);
    assert.ok(clock.pending > 0);
    await state.close();
    assert.equal(clock.pending, 0);
  });

  it('leaves neither sockets nor timers, whoever broke it', async (t) => {
    const used = () =>
      process.getActiveResourcesInfo().filter((what) => /Timeout|TCPSOCKET/.test(what)).length;
    const redis = await startRedis(t);
    const before = used();
    const state = open(t, redis.url);
    await state.started;
    for (let round = 0; round < 3; round++) {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await state.change(round * 2 + 1);
    }
    redis.freeze();
    await outcome(() => state.command('GET', 'a'));
    await state.close();
    await until(() => used() <= before, 'sockets and timers to go', 1_000);
  });
});
