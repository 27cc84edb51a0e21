import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { until } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { answer, DAY, openSeat, redisRig, take, told } from './claims-kit.ts';
import { claimsSuite } from './claims-suite.ts';

const cluster = await startRedisCluster({ after });
const settings = { kind: 'cluster', urls: cluster.urls } as const;

claimsSuite('claims in a Redis Cluster', (t) => redisRig(t, settings));

it('answers and claims outlive the move of their slot', async (t) => {
  const [a, b] = [await openSeat(t, settings), await openSeat(t, settings)];
  (await take(a.claims, 'done')).finish(answer('one'), DAY);
  const running = await take(a.claims, 'running');
  await a.settled();
  const slot = await cluster.slotOf('{acme}');
  await cluster.migrateSlot(slot, await cluster.another(await cluster.owner(slot)));
  assert.equal(await told(b.claims, 'done'), 'done: one');
  assert.equal(await told(b.claims, 'running'), 'running');
  running.finish(answer('two'), DAY);
  await until(async () => (await told(b.claims, 'running')) === 'done: two', 'the answer');
});
