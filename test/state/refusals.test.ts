import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isReply, redirectionOf, refusalOf } from '../../src/state/replies.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { COUNT, open, outcome, type TestState } from './helpers.ts';

/** The next write is refused for this reason, the node is away from then on, and back when it takes writes again. */
async function refuses(state: TestState, why: string, mend: () => Promise<unknown>): Promise<void> {
  const { unavailable } = await outcome(() => state.run(COUNT, ['spillway:a'], [1]));
  assert.equal(unavailable, `redis: ${why}`);
  assert.equal(state.isUp('spillway:a'), false);
  const away = state.changes.at(-1);
  assert.deepEqual(away, { node: 'redis', up: false, why });
  const next = state.change(state.changes.length);
  await mend();
  assert.deepEqual(await next, { node: 'redis', up: true, why: null });
  assert.equal((await outcome(() => state.run(COUNT, ['spillway:a'], [1]))).unavailable, null);
}

async function replicaOf(master: RedisServer, replica: RedisServer): Promise<void> {
  await replica.call('REPLICAOF', master.host, master.port);
  await until(
    async () => /master_link_status:up/.test(String(await replica.call('INFO', 'replication'))),
    'it',
  );
}

describe('a Redis that refuses writes', () => {
  it('for want of memory is away until it has some', async (t) => {
    const redis = await startRedis(t, { config: { maxmemory: '100mb', 'maxmemory-policy': 'noeviction' } });
    const state = open(t, redis.url);
    await state.run(COUNT, ['spillway:a'], [1]);
    await redis.call('CONFIG', 'SET', 'maxmemory', '1mb');
    await refuses(state, 'it is out of memory (OOM)', () =>
      redis.call('CONFIG', 'SET', 'maxmemory', '100mb'),
    );
  });

  it('for want of memory is away from the start', async (t) => {
    const redis = await startRedis(t, { config: { maxmemory: '100kb' } });
    const state = open(t, redis.url);
    await state.started;
    assert.deepEqual(state.changes, [{ node: 'redis', up: false, why: 'it is out of memory (OOM)' }]);
    // That it answers, and would read, is not enough.
    assert.equal(
      (await outcome(() => state.command('GET', 'a'))).unavailable,
      'redis: it is out of memory (OOM)',
    );
  });

  it('as a replica is away until it leads', async (t) => {
    const master = await startRedis(t, { config: { 'repl-diskless-sync-delay': '0' } });
    const redis = await startRedis(t);
    const state = open(t, redis.url);
    await state.run(COUNT, ['spillway:a'], [1]);
    await replicaOf(master, redis);
    await refuses(state, 'it is a read-only replica (READONLY)', () => redis.call('REPLICAOF', 'NO', 'ONE'));
  });

  it('as a replica is left for the one that has its address now', async (t) => {
    const [first, second] = [await startRedis(t), await startRedis(t)];
    const proxy = await startTcpProxy(t, first.port);
    const state = open(t, proxy.url);
    await state.run(COUNT, ['spillway:a'], [1]);
    proxy.target = second.port;
    await first.call('REPLICAOF', second.host, second.port);
    const { unavailable } = await outcome(() => state.run(COUNT, ['spillway:a'], [1]));
    assert.equal(unavailable, 'redis: it is a read-only replica (READONLY)');
    assert.deepEqual(await state.change(1), { node: 'redis', up: true, why: null });
    assert.equal(await state.run(COUNT, ['spillway:b'], [1]), 1);
    assert.equal(await second.call('GET', 'spillway:b'), '1');
  });

  it('for want of replicas is away until it has them', async (t) => {
    const redis = await startRedis(t);
    const state = open(t, redis.url);
    await state.run(COUNT, ['spillway:a'], [1]);
    await redis.call('CONFIG', 'SET', 'min-replicas-to-write', 1);
    await refuses(state, 'it has too few replicas to take writes (NOREPLICAS)', () =>
      redis.call('CONFIG', 'SET', 'min-replicas-to-write', 0),
    );
  });

  it('from a user who lost the permission is away until it is given', async (t) => {
    const redis = await startRedis(t, { users: { ann: 'on >x ~* &* +@all' } });
    const state = open(t, redis.urlFor('ann', 'x'));
    await state.run(COUNT, ['spillway:a'], [1]);
    await redis.call('ACL', 'SETUSER', 'ann', 'resetkeys', '~other:*');
    await refuses(state, 'its user may not do what is needed (NOPERM)', () =>
      redis.call('ACL', 'SETUSER', 'ann', 'allkeys'),
    );
  });

  it('while it is busy with a script is away until that ends', async (t) => {
    const redis = await startRedis(t, { config: { 'busy-reply-threshold': '20' } });
    const state = open(t, redis.url);
    await state.run(COUNT, ['spillway:a'], [1]);
    const busy = assert.rejects(redis.connect().eval('while true do end', 0), /killed/);
    await until(() => redis.call('PING').then(() => false, isReply), 'it to be busy');
    await refuses(state, 'it is busy with a script (BUSY)', () => redis.call('SCRIPT', 'KILL'));
    await busy;
  });

  it('each time that it is back is asked less and less often', async (t) => {
    const clock = new ManualClock();
    // Its probes are taken and its calls refused, so that it is away and back, again and again.
    const redis = await startRedis(t, { users: { ann: 'on >x ~spillway:{!}:* &* +@all' } });
    const state = open(t, redis.urlFor('ann', 'x'), { clock });
    await state.started;
    for (const wait of [250, 250, 500, 1_000, 2_000, 4_000, 4_000]) {
      assert.notEqual((await outcome(() => state.run(COUNT, ['spillway:a'], [1]))).unavailable, null);
      clock.advance(wait - 1);
      await redis.call('PING');
      await new Promise(setImmediate);
      assert.equal(state.allUp, false);
      const next = state.change();
      clock.advance(1);
      assert.equal((await next).up, true);
    }
    // One that was there for long is given another chance soon.
    clock.advance(10_000);
    await redis.call('PING');
    assert.notEqual((await outcome(() => state.run(COUNT, ['spillway:a'], [1]))).unavailable, null);
    clock.advance(250);
    assert.equal((await state.change()).up, true);
  });
});

describe('what an error reply means', () => {
  function reply(message: string): Parameters<typeof refusalOf>[0] {
    return Object.assign(new Error(message), { name: 'ReplyError' as const });
  }

  it('is found also where an older Redis puts it into the middle', () => {
    for (const [message, refusal] of [
      ["OOM command not allowed when used memory > 'maxmemory'. script: f0, on @user_script:1.", 'OOM'],
      [
        'ERR Error running script (call to f_0): @user_script:1: @user_script: 1: -OOM command not allowed',
        'OOM',
      ],
      [
        "ERR Error running script (call to f_0): @user_script:1: @user_script: 1: -READONLY You can't",
        'READONLY',
      ],
      ["ERR The user executing the script can't run this command or subcommand script: f0", 'NOPERM'],
      ['LOADING Redis is loading the dataset in memory', 'LOADING'],
      ['MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to no.', 'MASTERDOWN'],
      ['MISCONF Redis is configured to save RDB snapshots, but', 'MISCONF'],
      ['CLUSTERDOWN Hash slot not served', 'CLUSTERDOWN'],
      ['ERR max number of clients reached', 'MAXCLIENTS'],
    ] as const) {
      assert.equal(refusalOf(reply(message)), refusal, message);
    }
  });

  it('is nothing but a mistake where it is one, whatever it quotes', () => {
    for (const message of [
      'ERR wrong number of arguments',
      'WRONGTYPE Operation against a key holding the wrong kind of value',
      'CROSSSLOT Keys in request do not hash to the same slot',
      "ERR unknown command 'OOM', with args beginning with: 'READONLY'",
      'NOSCRIPT No matching script. Please use EVAL.',
      'toString',
      '',
    ]) {
      assert.equal(refusalOf(reply(message)), null, message);
    }
  });

  it('may be where to go', () => {
    assert.deepEqual(redirectionOf(reply('MOVED 3999 127.0.0.1:6381')), {
      kind: 'MOVED',
      address: '127.0.0.1:6381',
    });
    assert.equal(redirectionOf(reply('ASK 3999 127.0.0.1:6381'))?.kind, 'ASK');
    assert.equal(redirectionOf(reply('MOVED 3999')), null);
    assert.equal(redirectionOf(reply('ERR MOVED 3999 127.0.0.1:6381')), null);
  });
});

describe('a script whose slot is on its way to another node', () => {
  it('is tried again where a key that it came to by itself has gone already', () => {
    const reply = Object.assign(
      new Error(
        'ERR Script attempted to access a non local key in a cluster node script: 1f2a707e, on @user_script:189.',
      ),
      { name: 'ReplyError' },
    );
    assert.ok(isReply(reply));
    assert.equal(refusalOf(reply), 'TRYAGAIN');
  });
});
