import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { MemoryCache } from '../../src/replay/memory-cache.ts';
import { HICCUP } from '../support/hiccup.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis.ts';
import { answer, found, HOUR, memorySeat, place, redisSeat } from './cache-kit.ts';
import { cacheSuite } from './cache-suite.ts';

const redis = await startRedis({ after });
const settings = { kind: 'single', url: redis.url } as const;

cacheSuite('answers in memory', memorySeat);
cacheSuite('answers in Redis', (t) => redisSeat(t, settings));

describe('the bound of memory', () => {
  const clock = new ManualClock();
  const cacheOf = (most: number) => new MemoryCache({ wall: () => clock.wall(), most });
  /** With what it takes besides. */
  const sizeOf = (body: string) => {
    const cache = cacheOf(1_000_000);
    cache.put(place('a'), answer(clock, body));
    return cache.size;
  };

  it('drops those first that nobody has asked for longest', () => {
    const cache = cacheOf(3 * sizeOf('x'));
    for (const key of ['a', 'b', 'c']) cache.put(place(key), answer(clock, 'x'));
    cache.near(place('a'));
    cache.put(place('d'), answer(clock, 'x'));
    const there = ['a', 'b', 'c', 'd'].filter((key) => cache.near(place(key)) !== null);
    assert.deepEqual(there, ['a', 'c', 'd']);
  });

  it('makes room for a large one, and keeps none that would not fit alone', () => {
    const cache = cacheOf(2000);
    cache.put(place('a'), answer(clock, 'x'));
    cache.put(place('b'), answer(clock, 'x'.repeat(1100)));
    assert.equal(cache.near(place('a')), null);
    assert.ok(cache.near(place('b')));
    cache.put(place('c'), answer(clock, 'x'.repeat(2000)));
    assert.equal(cache.near(place('c')), null);
    assert.ok(cache.near(place('b')));
  });

  it('holds whatever comes and goes, and is empty when all is gone', () => {
    const most = 20_000;
    const cache = cacheOf(most);
    for (let i = 0; i < 500; i++) {
      cache.put(place(`k${i % 37}`), answer(clock, 'x'.repeat((i * 97) % 3000), 1 + (i % 5)));
      assert.ok(cache.size <= most);
      if (i % 3 === 0) clock.advance(1);
      cache.near(place(`k${(i * 7) % 37}`));
    }
    clock.advance(10);
    for (let i = 0; i < 37; i++) assert.equal(cache.near(place(`k${i}`)), null);
    assert.equal(cache.size, 0);
  });
});

describe('answers that gateways share through Redis', () => {
  it('are found by another gateway, with the time that they have left', async (t) => {
    const one = await redisSeat(t, settings);
    const other = await redisSeat(t, settings, { prefix: one.prefix });
    one.cache.put(place('k'), answer(one.clock, 'one', 60_000));
    await one.settled();
    assert.equal(other.cache.near(place('k')), null);
    const far = await other.cache.far(place('k'));
    assert.equal(far?.body.toString(), 'one');
    assert.deepEqual(far?.head, answer(one.clock, '').head);
    const left = (far?.expiresAt ?? 0) - other.clock.wall();
    assert.ok(left > 50_000 && left <= 60_000, `${left} ms are left`);
    // And then it need not ask again for a while.
    assert.equal(other.cache.near(place('k'))?.body.toString(), 'one');
    other.clock.advance(10_000);
    assert.equal(other.cache.near(place('k')), null);
    assert.equal(await found(other.cache, place('k')), 'one');
  });

  it('are as old as they are by Redis’ clock, whatever that of the gateway says', async (t) => {
    const one = await redisSeat(t, settings);
    one.cache.put(place('k'), answer(one.clock, 'one', 60_000));
    await one.settled();
    const keys = (await redis.call('KEYS', `${one.prefix}:*:c:*`)) as string[];
    const key = keys.find((name) => !/:(order|sizes)$/.test(name)) as string;
    const text = String(await redis.call('GET', key));
    const [time = ''] = /\d+/.exec(text) ?? [];
    await redis.call('SET', key, text.replace(time, String(Number(time) - 40_000)));
    const other = await redisSeat(t, settings, { prefix: one.prefix, clock: new ManualClock(0, 0) });
    const far = await other.cache.far(place('k'));
    const age = other.clock.wall() - (far?.storedAt ?? 0);
    const left = (far?.expiresAt ?? 0) - other.clock.wall();
    assert.ok(age >= 40_000 && age < 45_000, `it is ${age} ms old`);
    assert.equal(age + left, 60_000);
  });

  it('are replaced for all, within the time that one gateway goes by its memory', async (t) => {
    const one = await redisSeat(t, settings);
    const other = await redisSeat(t, settings, { prefix: one.prefix });
    one.cache.put(place('k'), answer(one.clock, 'old'));
    await one.settled();
    assert.equal(await found(other.cache, place('k')), 'old');
    one.cache.put(place('k'), answer(one.clock, 'new'));
    await one.settled();
    assert.equal(await found(other.cache, place('k')), 'old');
    other.clock.advance(10_000);
    assert.equal(await found(other.cache, place('k')), 'new');
  });

  it('are gone for all when somebody throws them away in Redis', async (t) => {
    const one = await redisSeat(t, settings);
    one.cache.put(place('k'), answer(one.clock, 'one'));
    await one.settled();
    for (const key of (await redis.call('KEYS', `${one.prefix}:*:c:*`)) as string[])
      await redis.call('DEL', key);
    one.clock.advance(10_000);
    assert.equal(await found(one.cache, place('k')), null);
    assert.equal(one.cache.near(place('k')), null);
  });

  it('expire in Redis by themselves, and all that is kept of them', async (t) => {
    const one = await redisSeat(t, settings);
    one.cache.put(place('k'), answer(one.clock, 'one', 60_000));
    one.cache.put(place('l'), answer(one.clock, 'two', 30_000));
    await one.settled();
    const keys = (await redis.call('KEYS', `${one.prefix}:*:c:*`)) as string[];
    assert.equal(keys.length, 4);
    for (const key of keys) {
      const ttl = Number(await redis.call('PTTL', key));
      const isIndex = /:(order|sizes)$/.test(key);
      assert.ok(ttl > (isIndex ? 50_000 : 20_000) && ttl <= 60_000, `${key} stays for ${ttl} ms`);
      assert.match(key, /:\{acme\}:c:/);
    }
  });

  it('tell nobody who can read Redis what was asked or answered, where there is a key to seal them with', async (t) => {
    const one = await redisSeat(t, settings, { secret: 'our secret' });
    const other = await redisSeat(t, settings, { prefix: one.prefix, secret: 'our secret' });
    const stranger = await redisSeat(t, settings, { prefix: one.prefix, secret: 'another' });
    one.cache.put(place('the key of it'), answer(one.clock, 'confidential'));
    await one.settled();
    for (const key of (await redis.call('KEYS', `${one.prefix}:*:c:*`)) as string[]) {
      assert.ok(!key.includes('the key of it'));
      if (String(await redis.call('TYPE', key)) !== 'string') continue;
      assert.ok(!String(await redis.call('GET', key)).includes('confidential'));
    }
    assert.equal(await found(other.cache, place('the key of it')), 'confidential');
    assert.equal(await found(stranger.cache, place('the key of it')), null);
  });

  it('what is there and is none of ours is as good as not there', async (t) => {
    const one = await redisSeat(t, settings);
    one.cache.put(place('k'), answer(one.clock, 'one'));
    await one.settled();
    const keys = (await redis.call('KEYS', `${one.prefix}:*:c:*`)) as string[];
    const types = await Promise.all(keys.map((key) => redis.call('TYPE', key)));
    const key = keys[types.indexOf('string')] as string;
    const good = String(await redis.call('GET', key));
    for (const text of [
      '',
      'o',
      'x',
      'o{}',
      'o1 2',
      'o1 2\n',
      'o1 2\n{}',
      'o1 2\nnull',
      good.replace(' ', ''),
      's!',
    ]) {
      await redis.call('SET', key, text);
      one.clock.advance(10_000);
      assert.equal(await one.cache.far(place('k')), null, text);
    }
    await redis.call('SET', key, good);
    assert.equal((await one.cache.far(place('k')))?.body.toString(), 'one');
    assert.deepEqual(one.faults, []);
    await redis.call('DEL', key);
    await redis.call('RPUSH', key, 'a list');
    one.clock.advance(10_000);
    assert.equal((await one.cache.far(place('k')))?.body.toString(), 'one', 'from memory');
    assert.equal(one.faults.length, 1);
  });
});

describe('the bound of one tenant in Redis', () => {
  async function kept(prefix: string): Promise<number> {
    const keys = (await redis.call('KEYS', `${prefix}:*:c:*`)) as string[];
    const types = await Promise.all(keys.map((key) => redis.call('TYPE', key)));
    return types.filter((type) => type === 'string').length;
  }

  /** What it is taken to be. */
  async function sizesOf(prefix: string): Promise<{ sum: number; sizes: number[] }> {
    const flat = (await redis.call('HGETALL', `${prefix}:{acme}:c:sizes`)) as string[];
    const sizes: number[] = [];
    let sum = 0;
    for (let at = 0; at < flat.length; at += 2) {
      if (flat[at] === '!') sum = Number(flat[at + 1]);
      else sizes.push(Number(flat[at + 1]));
    }
    return { sum, sizes };
  }

  it('drops those first that would expire next, and none of another tenant', async (t) => {
    const seat = await redisSeat(t, settings, { most: 1000 });
    const { cache, clock, prefix } = seat;
    cache.put(place('g', 'globex'), answer(clock, 'x'.repeat(500)));
    cache.put(place('a'), answer(clock, 'x'.repeat(200), HOUR + 120_000));
    cache.put(place('b'), answer(clock, 'x'.repeat(200), HOUR + 60_000));
    await seat.settled();
    assert.equal(await kept(prefix), 3);
    cache.put(place('c'), answer(clock, 'x'.repeat(200), HOUR + 180_000));
    await seat.settled();
    clock.advance(10_000);
    const there = await Promise.all(
      [place('a'), place('b'), place('c'), place('g', 'globex')].map((one) => found(cache, one)),
    );
    assert.deepEqual(
      there.map((one) => one !== null),
      [true, false, true, true],
    );
  });

  it('holds whatever comes, replaced ones counted once, and a large one makes room for itself', async (t) => {
    const seat = await redisSeat(t, settings, { most: 4000 });
    const { cache, clock, prefix } = seat;
    for (let i = 0; i < 40; i++) cache.put(place('same'), answer(clock, 'x'.repeat(300)));
    cache.put(place('other'), answer(clock, 'y'));
    await seat.settled();
    assert.equal(await kept(prefix), 2);
    const { sum, sizes } = await sizesOf(prefix);
    assert.equal(sizes.length, 2);
    assert.equal(
      sum,
      sizes.reduce((all, one) => all + one, 0),
    );
    for (let i = 0; i < 40; i++) cache.put(place(`k${i}`), answer(clock, 'x'.repeat(300)));
    await seat.settled();
    const count = await kept(prefix);
    assert.ok(count >= 5 && count <= 9, `${count} are kept`);
    cache.put(place('large'), answer(clock, 'x'.repeat(3500)));
    await seat.settled();
    assert.equal(await kept(prefix), 1);
    cache.put(place('too large'), answer(clock, 'x'.repeat(4000)));
    await seat.settled();
    assert.equal(await kept(prefix), 1);
    assert.deepEqual(seat.faults, []);
  });

  it('forgets those that have expired', async (t) => {
    const seat = await redisSeat(t, settings, { most: 1500 });
    const { cache, clock, prefix } = seat;
    cache.put(place('stays'), answer(clock, 'x'.repeat(200)));
    for (let i = 0; i < 2; i++) cache.put(place(`k${i}`), answer(clock, 'x'.repeat(200), 30));
    await seat.settled();
    await until(async () => (await kept(prefix)) === 1, 'them to expire');
    cache.put(place('a'), answer(clock, ''));
    await seat.settled();
    assert.equal(await kept(prefix), 2);
    const { sum, sizes } = await sizesOf(prefix);
    assert.equal(sizes.length, 2);
    assert.equal(
      sum,
      sizes.reduce((all, one) => all + one, 0),
    );
    assert.equal(Number(await redis.call('ZCARD', `${prefix}:{acme}:c:order`)), 2);
  });

  it('counts anew when its order is lost', async (t) => {
    const seat = await redisSeat(t, settings, { most: 1000 });
    const { cache, clock, prefix } = seat;
    cache.put(place('a'), answer(clock, 'x'.repeat(700)));
    await seat.settled();
    await redis.call('DEL', `${prefix}:{acme}:c:order`);
    cache.put(place('b'), answer(clock, 'x'.repeat(100)));
    cache.put(place('c'), answer(clock, 'x'.repeat(100)));
    await seat.settled();
    clock.advance(10_000);
    assert.ok(await found(cache, place('b')));
    assert.ok(await found(cache, place('c')));
    const { sum, sizes } = await sizesOf(prefix);
    assert.equal(sizes.length, 2);
    assert.equal(
      sum,
      sizes.reduce((all, one) => all + one, 0),
    );
  });
});

describe('answers while Redis is away', () => {
  it('come from memory for as long as they live, without a wait', async (t) => {
    const own = await startRedis(t);
    const seat = await redisSeat(t, { kind: 'single', url: own.url });
    const { cache, clock, client } = seat;
    cache.put(place('k'), answer(clock, 'one', 60_000));
    await seat.settled();
    await own.kill();
    await until(async () => !client.allUp, 'it to be known');
    cache.put(place('l'), answer(clock, 'two', 60_000));
    clock.advance(59_999);
    assert.equal(cache.near(place('k')), null);
    assert.equal(await found(cache, place('k')), 'one');
    assert.equal(await found(cache, place('l')), 'two');
    assert.equal(cache.far(place('m')), null, 'nobody is asked');
    clock.advance(1);
    assert.equal(await found(cache, place('k')), null);
    assert.deepEqual(seat.faults, []);
  });

  it('cost no more than the command timeout when it stops answering', async (t) => {
    const own = await startRedis(t);
    const seat = await redisSeat(t, { kind: 'single', url: own.url }, { commandTimeout: 100 });
    const { cache, clock } = seat;
    cache.put(place('k'), answer(clock, 'one'));
    await seat.settled();
    own.freeze();
    t.after(async () => own.thaw());
    clock.advance(10_000);
    const from = performance.now();
    assert.equal(await found(cache, place('k')), 'one');
    assert.equal(await found(cache, place('never')), null);
    assert.ok(performance.now() - from < 1000 + HICCUP);
    assert.deepEqual(seat.faults, []);
  });
});
