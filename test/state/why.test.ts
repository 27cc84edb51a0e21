import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whyOf } from '../../src/state/why.ts';
import { startRedis } from '../support/redis.ts';
import { open, outcome } from './helpers.ts';

describe('why a Redis is away', () => {
  it('is said in our words where the library only says that it could not write', async (t) => {
    const redis = await startRedis(t);
    const state = open(t, redis.url);
    await state.started;
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const failed = new Set<string>();
    while (failed.size === 0 || !state.isUp('a')) {
      const { unavailable } = await outcome(() => state.command('GET', 'a'));
      if (unavailable !== null) failed.add(unavailable);
      await new Promise(setImmediate);
    }
    for (const { why } of state.changes) failed.add(String(why));
    for (const why of failed) assert.doesNotMatch(why, /writeable|enableOfflineQueue|Connection is closed/);
  });

  it('is what each of the addresses of its host said', () => {
    const error = new AggregateError([
      new Error('connect ECONNREFUSED ::1:6379'),
      new Error('connect ECONNREFUSED 127.0.0.1:6379'),
    ]);
    assert.equal(whyOf(error), 'connect ECONNREFUSED ::1:6379, connect ECONNREFUSED 127.0.0.1:6379');
  });

  it('is nothing but that the connection was closed, where that is all that is known', () => {
    for (const message of [
      "Stream isn't writeable and enableOfflineQueue options is false",
      'Connection is closed.',
    ]) {
      assert.equal(whyOf(new Error(message)), 'the connection was closed');
    }
  });
});
