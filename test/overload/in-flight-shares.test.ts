import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InFlightShares, placesWithReserve } from '../../src/overload/in-flight-shares.ts';

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
      if (taken >= placesWithReserve(most)) return false;
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
    for (let n = 0; n < 5; n++) assert.equal(comes('quiet'), true);
    for (let n = 0; n < 14; n++) {
      leaves('flood');
      leaves('flood');
      assert.equal(comes('quiet'), true, `after ${n}`);
      assert.equal(comes('flood'), false);
    }
    assert.deepEqual(Object.fromEntries(counts), { flood: 72, quiet: 19 });
  });

  it('are not all that there is: one for another tenant is always left, however few there are', () => {
    for (const most of [1, 2, 5, 10, 100, 1000]) {
      const { comes } = places(most);
      for (let n = 0; n < 3 * most; n++) comes('flood');
      assert.equal(comes('quiet'), true, `of ${most}`);
    }
  });

  it('are followed by a reserve that two or three cannot take for themselves, and that ends', () => {
    const { comes, counts } = places(1000);
    for (const tenant of ['a', 'b', 'c', 'd', 'e']) for (let n = 0; n < 2000; n++) comes(tenant);
    assert.deepEqual(Object.fromEntries(counts), { a: 1000, b: 50, c: 25, d: 13, e: 6 });
    for (let n = 0; n < 1000; n++) comes(`t${n}`);
    const all = [...counts.values()].reduce((sum, count) => sum + count);
    assert.equal(all, placesWithReserve(1000));
  });

  it('are for tenants with less than an equal share, in the reserve as well', () => {
    const { comes, counts } = places(100);
    for (let n = 0; n < 30; n++) assert.equal(comes(`t${n}`), true);
    for (let n = 0; n < 200; n++) comes('flood');
    for (let n = 30; n < 42; n++) assert.equal(comes(`t${n}`), true);
    assert.equal(comes('t1'), true);
    assert.equal(counts.get('flood'), 60);
    assert.equal(comes('flood'), false);
  });

  it('are all for one tenant that is alone, though its requests come and go all the time', () => {
    const { comes, leaves } = places(1000);
    for (let n = 0; n < 990; n++) comes('a');
    for (let n = 0; n < 5000; n++) {
      leaves('a');
      assert.equal(comes('a'), true, `after ${n}`);
    }
  });

  it('are not lost to a tenant by what it was refused', () => {
    const { comes, leaves, counts } = places(1000);
    for (let n = 0; n < 1000; n++) comes('a');
    for (let n = 0; n < 110; n++) comes('b');
    assert.equal(counts.get('b'), 50);
    for (let n = 0; n < 20; n++) leaves('a');
    for (let n = 0; n < 10; n++) assert.equal(comes('b'), true);
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

describe('who has little of what is under way', () => {
  function little(counts: Record<string, number>, tenant: string): boolean {
    const all = new Map(Object.entries(counts));
    const taken = [...all.values()].reduce((sum, count) => sum + count);
    return new InFlightShares(() => new Map(all)).hasLittle(tenant, taken);
  }

  it('is who has less than half of an equal share, without the one that is asked about', () => {
    assert.equal(little({ flood: 90, quiet: 10 }, 'quiet'), true);
    assert.equal(little({ flood: 90, quiet: 10 }, 'flood'), false);
    assert.equal(little({ flood: 75, quiet: 25 }, 'quiet'), true);
    assert.equal(little({ flood: 74, quiet: 26 }, 'quiet'), false);
    assert.equal(little({ a: 20, b: 20, c: 20, d: 20 }, 'a'), false);
  });

  it('is whoever has nothing else, and nobody who is alone', () => {
    assert.equal(little({ a: 1, b: 1, c: 1, d: 1 }, 'a'), true);
    assert.equal(little({ a: 1 }, 'a'), true);
    assert.equal(little({ a: 2 }, 'a'), false);
  });

  it('is not what it is for having asked often', () => {
    const counts = new Map([
      ['flood', 900],
      ['quiet', 100],
    ]);
    const shares = new InFlightShares(() => new Map(counts));
    for (let n = 0; n < 50; n++) assert.equal(shares.hasLittle('quiet', 1000), true);
  });
});
