import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { openPresence, type Presence } from '../../src/state/presence.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { open, type TestState } from './helpers.ts';

const KEY = 'spillway:{!}:gateways';

interface Gateway {
  state: TestState;
  clock: ManualClock;
  presence: Presence;
}

/** One on a clock of its own, which says at once that it is there. */
async function gateway(t: TestContext, redis: RedisServer, name: string): Promise<Gateway> {
  const clock = new ManualClock();
  const state = open(t, redis.url, { gateway: name });
  const presence = openPresence({ client: state, keyPrefix: 'spillway', gateway: name, clock });
  t.after(() => presence.close());
  await presence.started;
  return { state, clock, presence };
}

/** Lets a gateway say again that it is there, and resolves when it has heard the answer. */
async function renew({ clock, state }: Gateway): Promise<void> {
  clock.advance(5_000);
  await state.command('PING');
  await new Promise(setImmediate);
}

describe('the gateways that share a Redis', () => {
  it('count each other, and no longer those that have gone', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await gateway(t, redis, 'a'), await gateway(t, redis, 'b')];
    const c = await gateway(t, redis, 'c');
    assert.deepEqual(
      [a, b, c].map(({ presence }) => presence.alive()),
      [1, 2, 3],
    );
    await renew(a);
    assert.equal(a.presence.alive(), 3);
    await c.presence.close();
    await b.presence.close();
    assert.deepEqual(await redis.call('ZRANGE', KEY, 0, -1), ['a']);
    // One that has gone is missed as late as one that says nothing any more: others may be about to say it again.
    await renew(a);
    await renew(a);
    assert.equal(a.presence.alive(), 3);
    await renew(a);
    await renew(a);
    assert.equal(a.presence.alive(), 1);
  });

  it('do not take Redis to be away for connecting to it more slowly than a command may take', async (t) => {
    const redis = await startRedis(t);
    const proxy = await startTcpProxy(t, redis.port);
    proxy.toClient.hold();
    const clock = new ManualClock();
    const state = open(t, proxy.url, { gateway: 'a', clock, commandTimeout: 250 });
    const presence = openPresence({ client: state, keyPrefix: 'spillway', gateway: 'a', clock });
    t.after(() => presence.close());
    // Longer than a command, shorter than a try to connect.
    await clock.advanceAsync(1_000);
    await new Promise(setImmediate);
    proxy.toClient.release();
    await presence.started;
    assert.deepEqual(state.changes, []);
    assert.deepEqual(await redis.call('ZRANGE', KEY, 0, -1), ['a']);
  });

  it('are forgotten when they say nothing for the length of a lease', async (t) => {
    const redis = await startRedis(t);
    const before = Date.now();
    await gateway(t, redis, 'a');
    const lease = Number(await redis.call('ZSCORE', KEY, 'a'));
    assert.ok(lease >= before + 15_000 && lease <= Date.now() + 15_000);
    assert.ok(Number(await redis.call('PTTL', KEY)) > 14_000);
    // One that died, and one whose lease is from before the clock of Redis was set back.
    await redis.call('ZADD', KEY, Date.now() - 1, 'dead', Date.now() + 60_000, 'ahead');
    const b = await gateway(t, redis, 'b');
    assert.equal(b.presence.alive(), 2);
    assert.deepEqual(await redis.call('ZRANGE', KEY, 0, -1), ['a', 'b']);
  });

  it('count as many as before while Redis is away, and say at once that they are there when it is back', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await gateway(t, redis, 'a'), await gateway(t, redis, 'b')];
    await redis.kill();
    await a.state.change(0);
    for (let round = 0; round < 10; round++) await a.clock.advanceAsync(5_000);
    assert.deepEqual(
      [a, b].map(({ presence }) => presence.alive()),
      [1, 2],
    );
    await redis.start();
    await until(async () => (await redis.call('ZCARD', KEY)) === 2, 'both');
  });

  it('may find Redis away when they start, and are alone then', async (t) => {
    const redis = await startRedis(t);
    await redis.kill();
    const a = await gateway(t, redis, 'a');
    assert.equal(a.presence.alive(), 1);
    await redis.start();
    await until(async () => (await redis.call('ZCARD', KEY)) === 1, 'it');
  });

  it('leave no timer behind', async (t) => {
    const redis = await startRedis(t);
    const a = await gateway(t, redis, 'a');
    await a.presence.close();
    assert.equal(a.clock.pending, 0);
    const b = await gateway(t, redis, 'b');
    // While it is saying that it is there, and has to say it twice.
    await redis.call('SCRIPT', 'FLUSH');
    b.clock.advance(5_000);
    await b.presence.close();
    assert.equal(b.clock.pending, 0);
    await b.state.command('PING');
    assert.equal(await redis.call('ZCARD', KEY), 0);
  });
});
