import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InFlightShares } from '../../src/overload/in-flight-shares.ts';

/** Places that are taken and left, as a listener has them. */
function places(most: number) {
  const counts = new Map<string, number>();
  let taken = 0;
  let counted = 0;
  const add = (tenant: string, by: number) => {
    taken += by;
    const count = (counts.get(tenant) ?? 0) + by;
    if (count > 0) counts.set(tenant, count);
    else counts.delete(tenant);
  };
  const shares = new InFlightShares(() => {
    counted++;
    return new Map(counts);
  });
  return {
    counts,
    counted: () => counted,
    /** One comes: may it stay? */
    comes(tenant: string): boolean {
      if (taken >= most) return false;
      add(tenant, 1);
      if (shares.hasPlace(tenant, taken, most)) return true;
      add(tenant, -1);
      return false;
    },
    leaves: (tenant: string) => add(tenant, -1),
  };
}

describe('places among the requests under way', () => {
  it('are all for one tenant that is alone, be they ever so few', () => {
    for (const most of [1, 2, 10, 1000]) {
      const { comes, counts } = places(most);
      for (let n = 0; n < most + 5; n++) comes('a');
      assert.equal(counts.get('a'), most);
    }
  });

  it('are not given to who has an equal share already, when few are left', () => {
    const { comes, counts } = places(1000);
    for (let n = 0; n < 10; n++) comes('quiet');
    for (let n = 0; n < 2000; n++) comes('flood');
    assert.equal((counts.get('flood') as number) + 10, 900);
    for (let n = 0; n < 50; n++) assert.equal(comes('quiet'), true);
  });

  it('come back to the others as soon as those of a flood that came first are left', () => {
    const { comes, leaves, counts } = places(100);
    for (let n = 0; n < 100; n++) comes('flood');
    assert.equal(comes('quiet'), false);
    for (let n = 0; n < 20; n++) {
      leaves('flood');
      assert.equal(comes('quiet'), true, `after ${n}`);
      assert.equal(comes('flood'), false);
    }
    assert.deepEqual(Object.fromEntries(counts), { flood: 80, quiet: 20 });
  });

  it('are given again at once when they are left', () => {
    const { comes, leaves } = places(4);
    for (const tenant of ['a', 'a', 'b', 'b']) assert.equal(comes(tenant), true);
    for (let n = 0; n < 50; n++) {
      leaves('a');
      assert.equal(comes('a'), true);
    }
  });

  it('are counted only when there are few left, and then for many requests together', () => {
    const { comes, leaves, counted } = places(10_000);
    for (let n = 0; n < 9000; n++) comes('a');
    assert.equal(counted(), 0);
    for (let n = 0; n < 500; n++) comes('b');
    for (let n = 0; n < 5000; n++) {
      leaves('b');
      comes('b');
    }
    assert.ok(counted() < 15, `counted ${counted()} times`);
  });
});
