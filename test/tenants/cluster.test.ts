/** Tenants in a Redis Cluster whose node with them fails, or gives them to another one. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { systemClock } from '../../src/core/clock.ts';
import { openState } from '../../src/state/connect.ts';
import { RedisBacking } from '../../src/tenants/redis-backing.ts';
import { type CleansUp, until } from '../support/redis.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { found, type Gateway, gatewayOn, newKeyOf, ORIGIN, Watched } from './helpers.ts';

const KEY = 'spillway:{!}:tenants';

async function startGateway(t: CleansUp, cluster: RedisCluster): Promise<Gateway> {
  const client = openState(
    {
      redis: { kind: 'cluster', urls: cluster.urls },
      keyPrefix: 'spillway',
      commandTimeout: 500,
      onOutage: 'local',
    },
    { clock: systemClock, chance: Math.random, gateway: 'test' },
  );
  t.after(() => client.close());
  await client.started;
  const gateway = gatewayOn(
    new Watched(new RedisBacking({ client, keyPrefix: 'spillway', commandTimeout: 500 })),
  );
  await gateway.directory.start();
  t.after(() => gateway.directory.close());
  return gateway;
}

it('tenants outlive the death of their node and the move of their slot, and a revoked key stays revoked', async (t) => {
  const cluster = await startRedisCluster(t);
  const [a, b] = [await startGateway(t, cluster), await startGateway(t, cluster)];
  await a.admin.create({ id: 'acme', keys: [{ id: 'k', sha256: hashOfKey('k') }] }, ORIGIN);
  const other = await newKeyOf(a, 'acme', 'l');
  await b.directory.refresh();
  assert.equal(found(b, other), 'acme/l');

  const master = await cluster.owner(KEY);
  await a.admin.revoke('acme', 'k', ORIGIN);
  await cluster.killMaster(master);
  const knows = (gateway: Gateway) => async () => {
    await gateway.directory.refresh().catch(() => {});
    return found(gateway, 'k') === null;
  };
  await until(knows(a), 'the first gateway');
  await until(knows(b), 'the second gateway');
  await until(() => newKeyOf(b, 'acme', 'm').catch(() => null), 'a change after the failover');

  const slot = await cluster.slotOf(KEY);
  await cluster.migrateSlot(slot, await cluster.another(await cluster.owner(KEY)));
  await until(() => newKeyOf(a, 'acme', 'n').catch(() => null), 'a change after the move');
  await b.directory.refresh();
  assert.deepEqual(
    (await b.admin.keys('acme')).keys.map(({ id }) => id),
    ['l', 'm', 'n'],
  );
  assert.deepEqual([found(a, 'k'), found(b, 'k')], [null, null]);
});
