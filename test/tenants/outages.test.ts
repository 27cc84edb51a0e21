/** Redis goes away, comes back, and comes back with less than it had. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { RedisBacking } from '../../src/tenants/redis-backing.ts';
import { type CleansUp, type RedisServer, startRedis, until } from '../support/redis.ts';
import { found, type Gateway, gatewayOn, ORIGIN, refused, stateOn, Watched } from './helpers.ts';

const TIMEOUT = 100;
const PREFIX = 'spillway';
const BASE = `${PREFIX}:{!}:tenants`;

/** A gateway that has tried once. */
async function startGateway(t: CleansUp, redis: RedisServer): Promise<Gateway & { backing: Watched }> {
  const client = stateOn(t, redis, TIMEOUT);
  await client.started;
  const backing = new Watched(new RedisBacking({ client, keyPrefix: PREFIX, commandTimeout: TIMEOUT }));
  const gateway = gatewayOn(backing);
  await gateway.directory.start();
  t.after(() => gateway.directory.close());
  return { ...gateway, backing };
}

/** Polls until one succeeds. */
async function back(gateway: Gateway): Promise<void> {
  await until(
    () =>
      gateway.directory.refresh().then(
        () => true,
        () => false,
      ),
    'Redis',
  );
}

const KEY = { id: 'k', sha256: hashOfKey('k') };

describe('while Redis is away', () => {
  it('what is known stays in force, and nothing can be changed', async (t) => {
    const redis = await startRedis(t);
    const a = await startGateway(t, redis);
    await a.admin.create({ id: 'acme', keys: [KEY] }, ORIGIN);
    const { key: old = '' } = await a.admin.putKey('acme', { id: 'l' }, ORIGIN);
    const { key: fresh = '' } = await a.admin.putKey('acme', { id: 'l', grace: '10s' }, ORIGIN);
    await redis.stop();
    for (let i = 0; i < 3; i++) {
      a.clock.advance(400);
      await a.directory.refresh().catch(() => {});
      await until(() => a.clock.pending === 1, 'the next timer');
    }
    assert.equal(found(a, 'k'), 'acme/k');
    assert.equal((await a.admin.get('acme')).id, 'acme');
    assert.equal((await a.admin.list({})).tenants.length, 1);
    for (const work of [
      a.admin.create({ id: 'b' }, ORIGIN),
      a.admin.patch('acme', { tier: 'x' }, ORIGIN),
      a.admin.revoke('acme', 'k', ORIGIN),
      a.admin.remove('acme', ORIGIN),
    ]) {
      const error = await refused(work, 'state_unavailable', /Redis cannot be reached/);
      assert.equal(error.status, 503);
      assert.equal(error.retryAfterMs, 1000);
    }
    assert.equal(found(a, 'k'), 'acme/k');
    // Keys run out all the same.
    a.later(10_001);
    assert.deepEqual([found(a, old), found(a, fresh)], [null, 'acme/l']);
    assert.deepEqual(
      a.log.map(({ message }) => message),
      ['changes of tenants cannot be read: those known here stay in force as they are'],
    );

    await redis.start();
    await back(a);
    a.clock.advance(400);
    await until(() => a.log.length > 1, 'a word about it');
    await a.admin.patch('acme', { tier: 'x' }, ORIGIN);
    assert.deepEqual(
      a.log
        .slice(1)
        .map(({ message }) => message)
        .sort(),
      [
        'Redis had lost tenants: they were written back',
        'tenants made through the admin API are followed again',
      ],
    );
  });

  it('a gateway that starts has the file’s tenants alone, until it is back', async (t) => {
    const redis = await startRedis(t, { config: { appendonly: 'yes', appendfsync: 'always' } });
    const a = await startGateway(t, redis);
    await a.admin.create({ id: 'acme', keys: [KEY] }, ORIGIN);
    await redis.stop();
    const b = await startGateway(t, redis);
    assert.equal(b.directory.isComplete, false);
    assert.equal(found(b, 'k'), null);
    assert.deepEqual(await b.admin.list({}), { tenants: [], next: null });
    await redis.start();
    await until(async () => {
      b.clock.advance(400);
      await b.directory.refresh().catch(() => {});
      return found(b, 'k');
    }, 'the tenants');
    assert.equal(b.directory.isComplete, true);
  });

  it('no answer takes longer than the timeout, and what was given up is not done later', async (t) => {
    const redis = await startRedis(t);
    const a = await startGateway(t, redis);
    const b = await startGateway(t, redis);
    await a.admin.create({ id: 'acme', keys: [KEY] }, ORIGIN);
    // It can still be asked what there is; the write itself is what hangs.
    a.backing.around = (call, work) => {
      if (call === 'write') redis.freeze();
      return work();
    };
    const began = performance.now();
    await refused(a.admin.revoke('acme', 'k', ORIGIN), 'state_unavailable');
    const took = performance.now() - began;
    assert.ok(took < 1000, `${took} ms`);
    a.backing.around = (_call, work) => work();
    await until(() => performance.now() - began > 1300, 'the end of its time');
    redis.thaw();
    await back(a);
    await back(b);
    assert.deepEqual([found(a, 'k'), found(b, 'k')], ['acme/k', 'acme/k']);
  });
});

describe('a Redis that has lost what it knew', () => {
  it('all of it: is given back what the gateways know', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await startGateway(t, redis), await startGateway(t, redis)];
    await a.admin.create({ id: 'acme', tier: 'pro', keys: [KEY] }, ORIGIN);
    await a.admin.create({ id: 'gone' }, ORIGIN);
    await a.admin.remove('gone', ORIGIN);
    await b.directory.refresh();
    await redis.restartEmpty();
    await Promise.all([back(a), back(b)]);
    assert.deepEqual([found(a, 'k'), found(b, 'k')], ['acme/k', 'acme/k']);
    const c = await startGateway(t, redis);
    assert.equal(found(c, 'k'), 'acme/k');
    assert.equal((await c.admin.get('acme')).tier, 'pro');
    await refused(c.admin.get('gone'), 'tenant_not_found');
    // And its order of things holds.
    await refused(c.admin.create({ id: 'b', keys: [KEY] }, ORIGIN), 'key_exists', /`acme`/);
    await c.admin.revoke('acme', 'k', ORIGIN);
    await Promise.all([a.directory.refresh(), b.directory.refresh()]);
    assert.deepEqual([found(a, 'k'), found(b, 'k')], [null, null]);
  });

  /** What a replica holds that has not yet been told of the last writes. */
  async function snapshot(redis: RedisServer): Promise<() => Promise<void>> {
    const names = ['', ':changes', ':marks', ':gone', ':owners'].map((end) => BASE + end);
    for (const name of names) await redis.call('COPY', name, `old${name}`, 'REPLACE');
    return async () => {
      for (const name of names) {
        await redis.call('DEL', name);
        await redis.call('COPY', `old${name}`, name);
      }
    };
  }

  for (const seen of [true, false]) {
    it(`the last of it, ${seen ? 'seen by others too' : 'seen by nobody else'}: a revoked key stays revoked`, async (t) => {
      const redis = await startRedis(t);
      const [a, b] = [await startGateway(t, redis), await startGateway(t, redis)];
      await a.admin.create({ id: 'acme', keys: [KEY, { id: 'l', sha256: hashOfKey('l') }] }, ORIGIN);
      await Promise.all([a.directory.refresh(), b.directory.refresh()]);
      const failOver = await snapshot(redis);
      await a.admin.revoke('acme', 'k', ORIGIN);
      if (seen) await Promise.all([a.directory.refresh(), b.directory.refresh()]);
      await failOver();
      await b.directory.refresh();
      await a.directory.refresh();
      await b.directory.refresh();
      assert.deepEqual([found(a, 'k'), found(b, 'k'), found(b, 'l')], [null, null, 'acme/l']);
      const c = await startGateway(t, redis);
      assert.deepEqual([found(c, 'k'), found(c, 'l')], [null, 'acme/l']);
      assert.equal(await redis.call('HGET', `${BASE}:owners`, hashOfKey('k')), null);
    });
  }

  it('the last of it, and has gone on since: both changes are there', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await startGateway(t, redis), await startGateway(t, redis)];
    await a.admin.create({ id: 'x' }, ORIGIN);
    await a.admin.create({ id: 'y' }, ORIGIN);
    await Promise.all([a.directory.refresh(), b.directory.refresh()]);
    const failOver = await snapshot(redis);
    await a.admin.patch('x', { tier: 'lost' }, ORIGIN);
    await a.admin.create({ id: 'z', keys: [KEY] }, ORIGIN);
    await failOver();
    await b.admin.patch('y', { tier: 'since' }, ORIGIN);
    await a.directory.refresh();
    await b.directory.refresh();
    for (const gateway of [a, b, await startGateway(t, redis)]) {
      const tiers = (await gateway.admin.list({})).tenants.map(({ id, tier }) => [id, tier]);
      assert.deepEqual(tiers, [
        ['x', 'lost'],
        ['y', 'since'],
        ['z', null],
      ]);
      assert.equal(found(gateway, 'k'), 'z/k');
    }
  });

  it('only who changed when: all of it is found again', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await startGateway(t, redis), await startGateway(t, redis)];
    await a.admin.create({ id: 'x', keys: [KEY] }, ORIGIN);
    await a.admin.create({ id: 'y' }, ORIGIN);
    await b.directory.refresh();
    for (const end of ['changes', 'marks', 'owners']) await redis.call('DEL', `${BASE}:${end}`);
    await a.admin.patch('y', { tier: 'z' }, ORIGIN);
    for (let i = 0; i < 2; i++) await Promise.all([a.directory.refresh(), b.directory.refresh()]);
    const c = await startGateway(t, redis);
    for (const gateway of [a, b, c]) {
      assert.deepEqual(
        (await gateway.admin.list({})).tenants.map(({ id, tier }) => [id, tier]),
        [
          ['x', null],
          ['y', 'z'],
        ],
      );
      assert.equal(found(gateway, 'k'), 'x/k');
    }
    await refused(c.admin.create({ id: 'z', keys: [KEY] }, ORIGIN), 'key_exists');
  });

  it('a key that was handed out again meanwhile is not taken from its new tenant', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await startGateway(t, redis), await startGateway(t, redis)];
    const failOver = await snapshot(redis);
    await a.admin.create({ id: 'lost', keys: [KEY] }, ORIGIN);
    await failOver();
    await b.admin.create({ id: 'kept', keys: [KEY] }, ORIGIN);
    await a.directory.refresh();
    await b.directory.refresh();
    assert.deepEqual([found(a, 'k'), found(b, 'k')], ['kept/k', 'kept/k']);
    assert.deepEqual(
      (await a.admin.list({})).tenants.map(({ id }) => id),
      ['kept'],
    );
    assert.match(a.log[0]?.message ?? '', /given up/);
  });

  it('what was deleted so long ago that it is forgotten does not come back', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await startGateway(t, redis), await startGateway(t, redis)];
    await a.admin.create({ id: 'old', keys: [KEY] }, ORIGIN);
    await b.directory.refresh();
    await a.admin.remove('old', ORIGIN);
    // As many are deleted as are remembered, and more has happened than is remembered.
    const more = `
      for i = 1, 10000 do
        redis.call('ZADD', KEYS[1], ARGV[1] + i, 'x' .. i)
        redis.call('HSET', KEYS[2], 'x' .. i, '{"id":"x' .. i .. '","gone":true,"version":' .. string.format('%.0f', ARGV[1] + i) .. '}')
      end`;
    const version = await redis.call('ZSCORE', `${BASE}:gone`, 'old');
    await redis.call('EVAL', more, 2, `${BASE}:gone`, BASE, String(version));
    for (let i = 0; i < 1001; i++) await a.admin.create({ id: `t${i}` }, ORIGIN);
    await a.admin.remove('t1000', ORIGIN);
    assert.equal(await redis.call('HEXISTS', BASE, 'old'), 0);
    assert.equal(await redis.call('ZCARD', `${BASE}:gone`), 10_000);
    assert.ok(Number(await redis.call('ZCARD', `${BASE}:marks`)) <= 1000);
    assert.equal(found(b, 'k'), 'old/k');
    await b.directory.refresh();
    assert.equal(found(b, 'k'), null);
    assert.equal(await redis.call('HEXISTS', BASE, 'old'), 0);
    assert.equal((await b.admin.list({ limit: '1000' })).tenants.length, 1000);
  });
});

describe('what cannot be read', () => {
  it('of a tenant leaves what was known of it, and is not written over', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await startGateway(t, redis), await startGateway(t, redis)];
    await a.admin.create({ id: 'acme', keys: [KEY] }, ORIGIN);
    await b.directory.refresh();
    const json = JSON.parse(String(await redis.call('HGET', BASE, 'acme'))) as {
      quotas: object[];
      version: number;
    };
    const newer = { ...json, version: json.version + 1, quotas: [{ of: 'images', per: 'day', limit: 3 }] };
    const touch = async (text: string) => {
      await redis.call('HSET', BASE, 'acme', text);
      const position = String(Number(await redis.call('HGET', BASE, '!position')) + 1);
      await redis.call('HSET', BASE, '!position', position);
      await redis.call('ZADD', `${BASE}:marks`, position, position);
      await redis.call('ZADD', `${BASE}:changes`, position, 'acme');
    };
    await touch(JSON.stringify(newer));
    for (let i = 0; i < 3; i++) await b.directory.refresh();
    assert.equal(found(b, 'k'), 'acme/k');
    assert.equal(b.log.length, 1);
    assert.match(b.log[0]?.message ?? '', /cannot be read here/);
    await refused(b.admin.patch('acme', { tier: 'x' }, ORIGIN), 'state_unavailable', /newer version/);
    assert.equal(await redis.call('HGET', BASE, 'acme'), JSON.stringify(newer));
    // A field that is not known is no reason: it is kept.
    await touch(JSON.stringify({ ...json, version: json.version + 2, colour: 'blue' }));
    await b.admin.patch('acme', { tier: 'x' }, ORIGIN);
    const kept = JSON.parse(String(await redis.call('HGET', BASE, 'acme'))) as Record<string, unknown>;
    assert.deepEqual([kept['colour'], kept['tier']], ['blue', 'x']);
  });

  it('at all, because the Redis user may not: is said once', async (t) => {
    const redis = await startRedis(t, { users: { default: 'on nopass ~* &* +@all -hget' } });
    const a = await startGateway(t, redis);
    for (let i = 0; i < 3; i++) {
      a.clock.advance(400);
      await a.directory.refresh().catch(() => {});
      await until(() => a.clock.pending === 1, 'the next timer');
    }
    assert.equal(a.log.length, 1);
    assert.match(a.log[0]?.message ?? '', /cannot be read/);
    assert.equal(a.directory.isComplete, false);
  });
});
