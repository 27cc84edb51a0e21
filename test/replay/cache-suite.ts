/** What every cache of answers does. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EVERYONE } from '../../src/replay/cache.ts';
import type { CleansUp } from '../support/redis.ts';
import { answer, found, HOUR, place, type Seat } from './cache-kit.ts';

export function cacheSuite(name: string, open: (t: CleansUp) => Promise<Seat>): void {
  describe(name, () => {
    it('gives back what was kept, as it was', async (t) => {
      const { cache, clock, settled } = await open(t);
      const kept = answer(clock, 'whole answer: "ä" \u0000 €');
      cache.put(place('k'), kept);
      await settled();
      const near = cache.near(place('k'));
      assert.deepEqual(near?.head, kept.head);
      assert.deepEqual(near?.body, kept.body);
    });

    it('knows nothing of what was never kept', async (t) => {
      const { cache, clock, settled } = await open(t);
      cache.put(place('k'), answer(clock, 'one'));
      await settled();
      assert.equal(await found(cache, place('other')), null);
    });

    it('puts a newer one in the place of an older', async (t) => {
      const { cache, clock, settled } = await open(t);
      cache.put(place('k'), answer(clock, 'old'));
      cache.put(place('k'), answer(clock, 'new'));
      await settled();
      assert.equal(await found(cache, place('k')), 'new');
    });

    it('forgets it when its time is over, to the millisecond', async (t) => {
      const { cache, clock, settled } = await open(t);
      cache.put(place('k'), answer(clock, 'one', 5_000));
      await settled();
      clock.advance(4_999);
      assert.equal(cache.near(place('k'))?.body.toString(), 'one');
      clock.advance(1);
      assert.equal(cache.near(place('k')), null);
    });

    it('does not keep what is over already', async (t) => {
      const { cache, clock, settled } = await open(t);
      cache.put(place('k'), answer(clock, 'one', 0));
      await settled();
      assert.equal(await found(cache, place('k')), null);
    });

    it('keeps those that all share beside those of tenants', async (t) => {
      const { cache, clock, settled } = await open(t);
      cache.put(place('k1', 'acme'), answer(clock, 'of acme'));
      cache.put(place('k2', EVERYONE), answer(clock, 'of all', HOUR));
      await settled();
      assert.equal(await found(cache, place('k1', 'acme')), 'of acme');
      assert.equal(await found(cache, place('k2', EVERYONE)), 'of all');
    });
  });
}
