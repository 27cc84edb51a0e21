import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { startRedis } from '../support/redis.ts';
import { lifetimes, openRig } from './redis-rig.ts';
import { storeProperty } from './store-property.ts';

const redis = await startRedis({ after });

storeProperty(
  'the store in Redis answers any schedule as an exact model does',
  // Runs begin in different years, and in any order.
  (t) => openRig(t, [redis], redis.url, 100_000),
  { runs: 150, steps: 60 },
);

it('and nothing that it leaves behind stays for ever', async () => {
  const kept = [...(await lifetimes([redis]))];
  assert.ok(kept.length > 300, `${kept.length}`);
  assert.deepEqual(
    kept.filter(([, ms]) => ms < 0),
    [],
  );
});
