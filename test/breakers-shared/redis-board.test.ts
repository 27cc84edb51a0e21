import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import { Breaker } from '../../src/resilience/breaker.ts';
import type { BreakerSettings } from '../../src/resilience/settings.ts';
import { openState } from '../../src/state/connect.ts';
import { CLOSED, MOST_ENTRIES, OPENED } from '../../src/upstream/board-scripts.ts';
import { RedisBoard } from '../../src/upstream/redis-board.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { ID, SHARED } from './fleet.ts';

/** Of the test's Redis, so that nobody waits long for one that is frozen. Milliseconds. */
const COMMAND_TIMEOUT = 250;

async function openBreaker(
  t: TestContext,
  redis: RedisServer,
  gateway: string,
  changes: Partial<BreakerSettings> = {},
  id = ID,
) {
  const client = openState(
    {
      redis: { kind: 'single', url: redis.url },
      keyPrefix: 'p',
      commandTimeout: COMMAND_TIMEOUT,
      onOutage: 'deny',
    },
    { clock: systemClock, chance: Math.random, gateway },
  );
  await client.started;
  const faults: unknown[] = [];
  const board = new RedisBoard({
    client,
    keyPrefix: 'p',
    gateway,
    clock: systemClock,
    onFault: (error) => faults.push(error),
  });
  const breaker = new Breaker(
    { ...SHARED, ...changes },
    systemClock,
    () => 0.5,
    () => {},
    board.place(() => id),
  );
  board.listen((word) => {
    if (word.id === id) breaker.hear(word);
  });
  t.after(async () => {
    await board.close();
    await client.close();
  });
  const fail = () => {
    for (let i = 0; i < SHARED.consecutiveFailures; i++) breaker.acquire()?.failure();
  };
  const ask = async () => {
    if (breaker.needsClaim()) await breaker.claim();
    return breaker.acquire();
  };
  return { breaker, board, client, fail, ask, faults };
}

describe('two gateways on one Redis', () => {
  it('hear of an opening within a second, share one probe, and close together', async (t) => {
    const redis = await startRedis(t);
    const quick = { openFor: 1_500, maxOpenFor: 60_000 };
    const one = await openBreaker(t, redis, 'one', quick);
    const two = await openBreaker(t, redis, 'two', quick);
    const from = performance.now();
    one.fail();
    await until(() => two.breaker.state() === 'open', 'the other to open');
    assert.ok(performance.now() - from < 1000, `took ${performance.now() - from} ms`);
    assert.equal(two.breaker.acquire(), null);
    await until(() => two.breaker.available() && one.breaker.available(), 'the end of the period');
    const permits = await Promise.all([one.ask(), two.ask(), one.ask(), two.ask()]);
    const given = permits.filter((permit) => permit !== null);
    assert.equal(given.length, 1);
    given[0]?.success();
    const closed = performance.now();
    const both = () => [one, two].every(({ breaker }) => breaker.state() === 'closed');
    await until(both, 'both to close');
    assert.ok(performance.now() - closed < 1000);
    assert.deepEqual([...one.faults, ...two.faults], []);
  });

  it('go on by themselves while it hangs, and are of one mind when it is back', async (t) => {
    const redis = await startRedis(t);
    const quick = { openFor: 1_000, maxOpenFor: 60_000 };
    const one = await openBreaker(t, redis, 'one', quick);
    const two = await openBreaker(t, redis, 'two', quick);
    one.fail();
    await until(() => two.breaker.state() === 'open', 'the other to open');
    redis.freeze();
    await until(() => one.breaker.available(), 'the end of the period');
    const asked = performance.now();
    const probe = await one.ask();
    assert.ok(probe, 'nobody is kept from probing');
    assert.ok(performance.now() - asked < 2 * COMMAND_TIMEOUT + 200);
    probe.failure();
    await until(() => !one.client.allUp, 'it to be found away');
    redis.thaw();
    await until(() => (two.breaker.retryAfterMs() ?? 0) > 0, 'the other to hear of it');
    assert.equal(two.breaker.acquire(), null);
  });

  it('keeps a bounded number of entries, and forgets them by itself', async (t) => {
    const redis = await startRedis(t);
    const { client } = await openBreaker(t, redis, 'one');
    const keys = ['p:{!}:breakers', 'p:{!}:breakers:words', 'p:{!}:breakers:gone'];
    const till = Date.now() + 3_600_000;
    for (let at = 0; at < MOST_ENTRIES + 200; at += 100) {
      const many = Array.from({ length: 100 }, (_, i) =>
        client.run(OPENED, keys, [`a/${at + i}#1`, 'one', till, 1, '']),
      );
      await Promise.all(many);
    }
    await client.run(CLOSED, keys, ['a/0#1', 'one', 0]);
    assert.equal(await redis.call('HLEN', keys[0] as string), MOST_ENTRIES);
    for (const key of keys.slice(1)) assert.equal(await redis.call('ZCARD', key), MOST_ENTRIES);
    assert.equal(await redis.call('HEXISTS', keys[0] as string, 'a/1#1'), 0);
    for (const key of keys) {
      const left = Number(await redis.call('PTTL', key));
      assert.ok(left > 3_600_000 && left < 3_600_000 + 660_000, `${key} lives for ${left} ms`);
    }
  });

  it('forgets what nobody has said for long', async (t) => {
    const redis = await startRedis(t);
    const { client } = await openBreaker(t, redis, 'one');
    const keys = ['p:{!}:breakers', 'p:{!}:breakers:words', 'p:{!}:breakers:gone'];
    const open = (id: string) => client.run(OPENED, keys, [id, 'one', Date.now() + 60_000, 1, '']);
    await open('a/old#1');
    await redis.call('ZADD', keys[2] as string, Date.now() - 1, 'a/old#1');
    await open('a/new#1');
    assert.deepEqual(await redis.call('HKEYS', keys[0] as string), ['a/new#1']);
    assert.deepEqual(await redis.call('ZRANGE', keys[1] as string, 0, -1), ['a/new#1']);
  });

  it('keeps to itself what a client gave an endless name', async (t) => {
    const redis = await startRedis(t);
    const long = await openBreaker(
      t,
      redis,
      'one',
      { openFor: 10, maxOpenFor: 10 },
      `a/${'x'.repeat(600)}#1`,
    );
    long.fail();
    await until(() => long.breaker.available(), 'the end of the period');
    assert.equal(long.breaker.needsClaim(), false);
    assert.ok(long.breaker.acquire());
    assert.deepEqual(await redis.call('KEYS', 'p:{!}:breakers*'), []);
  });
});
