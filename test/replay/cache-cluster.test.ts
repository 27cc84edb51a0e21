import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { EVERYONE } from '../../src/replay/cache.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { answer, found, place, redisSeat } from './cache-kit.ts';
import { cacheSuite } from './cache-suite.ts';

const cluster = await startRedisCluster({ after });
const settings = { kind: 'cluster', urls: cluster.urls } as const;

cacheSuite('answers in a Redis Cluster', (t) => redisSeat(t, settings));

it('the bound of each tenant holds in a cluster, wherever its keys are', async (t) => {
  const seat = await redisSeat(t, settings, { most: 1000 });
  const scopes = ['acme', 'globex', 'initech', 'umbrella', EVERYONE];
  for (const scope of scopes) {
    for (let i = 0; i < 6; i++) {
      seat.cache.put(place(`${scope}${i}`, scope), answer(seat.clock, 'x'.repeat(200), 60_000 + i));
    }
  }
  await seat.settled();
  assert.deepEqual(seat.faults, []);
  seat.clock.advance(10_000);
  for (const scope of scopes) {
    const there = await Promise.all([0, 1, 4, 5].map((i) => found(seat.cache, place(`${scope}${i}`, scope))));
    assert.deepEqual(
      there.map((one) => one !== null),
      [false, false, true, true],
      scope,
    );
  }
});
