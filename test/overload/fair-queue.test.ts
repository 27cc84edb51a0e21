import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairQueue } from '../../src/overload/fair-queue.ts';

interface Item {
  tenant: string;
  number: number;
  ms: number;
}

/** Takes so many, each of which takes its time. */
function takeFrom(queue: FairQueue<Item>, count: number): Item[] {
  const taken: Item[] = [];
  while (taken.length < count) {
    const item = queue.take(0);
    if (item === null) break;
    queue.charge(item.ms);
    taken.push(item);
  }
  return taken;
}

function fill(queue: FairQueue<Item>, tenant: string, count: number, ms: number): void {
  for (let number = 0; number < count; number++) queue.add(tenant, { tenant, number, ms }, 1);
}

function spent(items: readonly Item[], tenant: string): number {
  return items.filter((item) => item.tenant === tenant).reduce((sum, { ms }) => sum + ms, 0);
}

describe('a fair queue', () => {
  it('begins with whoever had nothing waiting, however many others have', () => {
    const queue = new FairQueue<Item>();
    for (let n = 0; n < 50; n++) fill(queue, `flood${n}`, 100, 0.05);
    takeFrom(queue, 500);
    fill(queue, 'quiet', 1, 0.05);
    assert.equal(takeFrom(queue, 1)[0]?.tenant, 'quiet');
  });

  it('lets nobody be the first again before all others have had their turn', () => {
    const queue = new FairQueue<Item>();
    for (const tenant of ['a', 'b', 'c']) fill(queue, tenant, 100, 0.1);
    takeFrom(queue, 30);
    const served: string[] = [];
    for (let n = 0; n < 40; n++) {
      if (queue.weightOf('greedy') === 0) fill(queue, 'greedy', 1, 0.1);
      served.push(...takeFrom(queue, 1).map(({ tenant }) => tenant));
    }
    const greedy = served.filter((tenant) => tenant === 'greedy').length;
    assert.ok(greedy <= 11, served.join(' '));
  });

  it('gives each tenant its own in the order in which they came', () => {
    const queue = new FairQueue<Item>();
    fill(queue, 'a', 300, 0.01);
    fill(queue, 'b', 200, 0.07);
    const taken = takeFrom(queue, 1000);
    assert.equal(taken.length, 500);
    for (const tenant of ['a', 'b']) {
      const numbers = taken.filter((item) => item.tenant === tenant).map(({ number }) => number);
      assert.deepEqual(numbers, [...numbers.keys()]);
    }
    assert.equal(queue.length, 0);
    assert.equal(queue.take(0), null);
  });

  it('gives tenants the same time, whatever each of their requests takes', () => {
    const queue = new FairQueue<Item>();
    fill(queue, 'short', 20_000, 0.01);
    fill(queue, 'middle', 1000, 0.3);
    fill(queue, 'long', 100, 7);
    const taken = takeFrom(queue, 10_000);
    const times = ['short', 'middle', 'long'].map((tenant) => spent(taken, tenant));
    assert.ok(Math.max(...times) - Math.min(...times) < 8, `${times.join(', ')} ms`);
  });

  it('serves who comes newly within one turn of the others', () => {
    const queue = new FairQueue<Item>();
    for (const tenant of ['a', 'b', 'c']) fill(queue, tenant, 1000, 0.05);
    takeFrom(queue, 500);
    queue.add('new', { tenant: 'new', number: 0, ms: 0.05 }, 1);
    const before = takeFrom(queue, 1000).findIndex(({ tenant }) => tenant === 'new');
    assert.ok(before <= 9, `${before} were served before it`);
  });

  it('serves everyone in time, also while others leave and come again all the time', () => {
    const queue = new FairQueue<Item>();
    for (const tenant of ['patient', 'stays']) fill(queue, tenant, 10, 0.2);
    for (let n = 0; n < 20; n++) fill(queue, `t${n}`, 1, 0.05);
    const served: Item[] = [];
    for (let n = 0; n < 400; n++) {
      const [item] = takeFrom(queue, 1);
      if (item === undefined) break;
      served.push(item);
      if (item.tenant.startsWith('t')) queue.add(item.tenant, item, 1);
    }
    assert.ok(spent(served, 'patient') > 0.7, `${spent(served, 'patient')} ms`);
    assert.ok(spent(served, 'stays') > 0.7);
  });

  it('does not forget that a tenant was given too much when it has nothing waiting for a moment', () => {
    const queue = new FairQueue<Item>();
    fill(queue, 'other', 1000, 0.05);
    queue.add('long', { tenant: 'long', number: 0, ms: 5 }, 1);
    // So few that what it was given is not made up for when it has nothing waiting.
    const until = takeFrom(queue, 20);
    assert.ok(until.some(({ tenant }) => tenant === 'long'));
    const meanwhile = spent(until.slice(until.findIndex(({ tenant }) => tenant === 'long') + 1), 'other');
    queue.add('long', { tenant: 'long', number: 1, ms: 5 }, 1);
    const next = takeFrom(queue, 980);
    const others = spent(
      next.slice(
        0,
        next.findIndex(({ tenant }) => tenant === 'long'),
      ),
      'other',
    );
    assert.ok(meanwhile + others > 4.5, `only ${meanwhile + others} ms were given to the other`);
  });

  it('passes over nobody for longer than a second, whatever it was given and however many others there are', () => {
    const queue = new FairQueue<Item>();
    const add = (tenant: string) => queue.add(tenant, { tenant, number: 0, ms: 0.05 }, 1);
    for (let n = 0; n < 4000; n++) add(`t${n}`);
    const last = new Map<string, number>();
    let longest = 0;
    let now = 0;
    // A collection of garbage falls into one of a thousand.
    for (let taken = 1; taken < 100_000; taken++) {
      const item = queue.take(now) as Item;
      longest = Math.max(longest, now - (last.get(item.tenant) ?? 0));
      last.set(item.tenant, now);
      now += 0.1;
      queue.charge(taken % 1000 === 0 ? 5 : item.ms);
      add(item.tenant);
    }
    assert.equal(last.size, 4000);
    // A second, and a round or two of all others.
    assert.ok(longest < 1000 + 2 * 400, `${longest} ms`);
  });

  it('serves who was served before, where others come newly all the time', () => {
    const queue = new FairQueue<Item>();
    fill(queue, 'before', 20, 0.05);
    let served = 0;
    for (let n = 0; n < 100; n++) {
      fill(queue, `new${n}`, 2, 0.05);
      served += takeFrom(queue, 1).filter(({ tenant }) => tenant === 'before').length;
    }
    assert.ok(served > 0);
    assert.ok(queue.waitingOf('before') < 20);
  });

  it('forgets what does not wait any more', () => {
    const queue = new FairQueue<Item>();
    fill(queue, 'a', 3, 0.05);
    const gone = { tenant: 'a', number: 3, ms: 0.05 };
    queue.add('a', gone, 7);
    fill(queue, 'a', 1, 0.05);
    queue.leave('a', gone, 7);
    assert.deepEqual([queue.length, queue.weight, queue.weightOf('a'), queue.waitingOf('a')], [4, 4, 4, 4]);
    assert.deepEqual(
      takeFrom(queue, 5).map(({ number }) => number),
      [0, 1, 2, 0],
    );
    queue.add('b', gone, 7);
    fill(queue, 'c', 1, 0.05);
    assert.equal(queue.tenantsWaiting, 2);
    queue.leave('b', gone, 7);
    assert.equal(queue.tenantsWaiting, 1);
    assert.equal(takeFrom(queue, 2).length, 1);
    assert.deepEqual([queue.length, queue.weight, queue.tenantsWaiting], [0, 0, 0]);
  });

  it('holds no tenant any more when nobody waits', () => {
    const queue = new FairQueue<Item>();
    for (let n = 0; n < 1000; n++) queue.add(`t${n}`, { tenant: `t${n}`, number: 0, ms: 3 }, 1);
    assert.equal(queue.tenants, 1000);
    assert.equal(takeFrom(queue, 2000).length, 1000);
    assert.equal(queue.tenants, 0);
    assert.equal(queue.weightOf('t1'), 0);
  });

  it('gives everything back once, in any order of adding and taking', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return seed / 2 ** 31;
    };
    const queue = new FairQueue<Item>();
    const numbers = new Map<string, number>();
    const next = new Map<string, number>();
    let waiting = 0;
    let weight = 0;
    for (let step = 0; step < 20_000; step++) {
      if (random() < 0.5) {
        const tenant = `t${Math.floor(random() * 12)}`;
        const number = numbers.get(tenant) ?? 0;
        numbers.set(tenant, number + 1);
        queue.add(tenant, { tenant, number, ms: random() }, 1 + (number % 5));
        weight += 1 + (number % 5);
        waiting++;
      } else {
        const item = queue.take(0);
        assert.equal(item === null, waiting === 0);
        if (item === null) continue;
        waiting--;
        weight -= 1 + (item.number % 5);
        queue.charge(item.ms);
        assert.equal(item.number, next.get(item.tenant) ?? 0);
        next.set(item.tenant, item.number + 1);
      }
      assert.equal(queue.length, waiting);
      assert.equal(queue.weight, weight);
      assert.ok(queue.tenants <= 12);
    }
  });
});
