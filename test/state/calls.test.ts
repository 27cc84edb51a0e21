import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { COUNT, open, outcome } from './helpers.ts';

const redis = await startRedis({ after });

describe('a call', () => {
  it('runs a script that Redis does not know, knows, and has forgotten', async (t) => {
    const state = open(t, redis.url);
    assert.equal(await state.run(COUNT, ['script'], [1]), 1);
    assert.equal(await state.run(COUNT, ['script'], [1]), 2);
    await redis.call('SCRIPT', 'FLUSH');
    const replies = Array.from({ length: 20 }, () => state.run(COUNT, ['script'], [1]));
    const counts = (await Promise.all(replies)).map(Number).sort((a, b) => a - b);
    assert.deepEqual(
      counts,
      Array.from({ length: 20 }, (_, index) => index + 3),
    );
    assert.deepEqual(state.changes, []);
  });

  it('gives what Redis replied, as it is', async (t) => {
    const state = open(t, redis.url);
    assert.equal(await state.command('HSET', 'hash', 'a', 1, 'é', '🌊'), 2);
    assert.deepEqual(await state.command('hgetall', 'hash'), ['a', '1', 'é', '🌊']);
    assert.equal(await state.command('get', 'nothing'), null);
    const script = { lua: `return { 1, 'two', { 3, false }, '' }` };
    assert.deepEqual(await state.run(script, [], []), [1, 'two', [3, null], '']);
  });

  it('throws what is a mistake of whoever called, and thinks no worse of Redis', async (t) => {
    const state = open(t, redis.url);
    const mistaken = { lua: `return redis.call('INCR', 'a', 'b', 'c')` };
    const failing = { lua: `return redis.error_reply('MINE is my own')` };
    const isMistake = (error: Error) => !(error instanceof StateUnavailable);
    await assert.rejects(state.run(mistaken, [], []), isMistake);
    await assert.rejects(state.run(mistaken, [], []), isMistake);
    await assert.rejects(state.run(failing, [], []), /MINE is my own/);
    await assert.rejects(state.run({ lua: 'return (' }, [], []), isMistake);
    await state.command('SET', 'text', 'a');
    await assert.rejects(state.command('INCR', 'text'), isMistake);
    await assert.rejects(state.command('NOSUCH', 'text'), isMistake);
    assert.equal(state.isUp('text'), true);
    assert.deepEqual(state.changes, []);
  });

  it('goes out together with all others of its tick', async (t) => {
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url);
    await state.started;
    const before = proxy.toServer.chunks;
    await Promise.all(Array.from({ length: 50 }, () => state.command('GET', 'together')));
    assert.equal(proxy.toServer.chunks - before, 1);
  });

  it('is not sent again when its connection breaks, though it was carried out', async (t) => {
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url);
    await state.run(COUNT, ['once'], [0]);
    proxy.toClient.hold();
    const calls = Array.from({ length: 10 }, () => outcome(() => state.run(COUNT, ['once'], [1])));
    const done = async () => Number(await redis.call('GET', 'once')) === 10;
    while (!(await done()));
    proxy.cut();
    proxy.toClient.release();
    for (const { unavailable } of await Promise.all(calls)) assert.match(String(unavailable), /^redis: /);
    assert.equal((await state.change(1)).up, true);
    assert.equal(await state.run(COUNT, ['once'], [0]), 10);
  });

  it('is unavailable at once when the client was closed, and leaves nothing behind', async (t) => {
    const clock = new ManualClock();
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url, { clock });
    await state.started;
    proxy.toClient.hold();
    const waiting = outcome(() => state.command('GET', 'a'));
    await state.close();
    assert.notEqual((await waiting).unavailable, null);
    assert.notEqual((await outcome(() => state.command('GET', 'a'))).unavailable, null);
    assert.equal(state.isUp('a'), false);
    assert.equal(clock.pending, 0);
    while (proxy.open > 0) await new Promise(setImmediate);
    assert.deepEqual(state.changes, []);
  });

  it('is unavailable also when the client was closed before it began', async (t) => {
    const clock = new ManualClock();
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url, { clock });
    await state.close();
    assert.notEqual((await outcome(() => state.command('GET', 'a'))).unavailable, null);
    await new Promise(setImmediate);
    assert.equal(clock.pending, 0);
    assert.equal(proxy.connections, 0);
  });

  it('waits for the first connection, and for no other', async (t) => {
    const proxy = await startTcpProxy(t, redis.port);
    const state = open(t, proxy.url);
    assert.equal(await state.command('SET', 'early', '1'), 'OK');
    proxy.refuses = true;
    proxy.cut();
    assert.equal((await state.change(0)).up, false);
    const { late, unavailable } = await outcome(() => state.command('SET', 'early', '2'), 0);
    assert.match(String(unavailable), /^redis: /);
    assert.equal(late, false);
  });
});

describe('the clock of Redis', () => {
  it('is known from its replies, and goes on in between', async (t) => {
    const clock = new ManualClock();
    const state = open(t, redis.url, { clock });
    assert.equal(state.time(), clock.wall());
    await state.started;
    // That clock stands still, so this is exact to the time that the answer took.
    assert.ok(Math.abs(state.time() - Date.now()) < 100, `it is ${state.time() - Date.now()} ms off`);
    const before = state.time();
    clock.advance(1_000);
    assert.equal(state.time(), before + 1_000);
    assert.equal(state.time('spillway:{a}:q'), before + 1_000);
    assert.ok(Number.isInteger(state.time()));
  });
});
