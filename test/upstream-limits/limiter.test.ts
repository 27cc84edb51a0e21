import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Rate } from '../../src/providers/settings.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { accountOf } from '../../src/upstream/provider-limits.ts';
import { Door, setUp } from './kit.ts';

const perMinute = (limit: number): Rate => ({ limit, per: 'minute' });

describe('a limit of requests', () => {
  it('lets in as many tries as it says, and says in words and time what the next one meets', async () => {
    const { door } = setUp({ requests: perMinute(3) });
    for (let i = 0; i < 3; i++) await door.enter();
    assert.deepEqual(await door.refused(), {
      fullForMs: 63_000,
      why: 'its provider is at its limit of 3 requests per minute',
    });
  });

  it('has room again when the time is over, whatever became of the tries', async () => {
    const { clock, door } = setUp({ requests: perMinute(2) });
    (await door.enter()).leave(null);
    (await door.enter()).leave({ input: 3, output: 4 });
    await door.refused();
    clock.advance(62_999);
    await door.refused();
    clock.advance(1);
    await door.enter();
  });

  it('speaks of one request in the singular', async () => {
    const { door } = setUp({ requests: { limit: 1, per: 'day' } });
    await door.enter();
    assert.equal((await door.refused()).why, 'its provider is at its limit of 1 request per day');
  });

  it('is kept for each provider by itself', async () => {
    const { door, store, clock } = setUp({ requests: perMinute(1) });
    await door.enter();
    await new Door(store, clock, { requests: perMinute(1) }, 'anthropic').enter();
    await door.refused();
  });

  it('needs no estimate of tokens', () => {
    assert.equal(setUp({ requests: perMinute(1), concurrent: 1 }).door.limiter.countsTokens, false);
    assert.equal(setUp({ tokens: perMinute(1) }).door.limiter.countsTokens, true);
  });
});

describe('a limit of tokens', () => {
  it('holds what a try may come to, then counts what it took', async () => {
    const { door } = setUp({ tokens: perMinute(1000) });
    const place = await door.enter(200, 700);
    await door.refused(50, 51);
    place.leave({ input: 210, output: 90 });
    await door.enter(300, 400);
    await door.refused(1, 0);
  });

  it('counts in full what came to more than was thought', async () => {
    const { door } = setUp({ tokens: perMinute(1000) });
    (await door.enter(100, 100)).leave({ input: 100, output: 850 });
    await door.refused(51, 0);
    await door.enter(50, 0);
  });

  it('gets everything back of a try that nothing answered', async () => {
    const { door } = setUp({ tokens: perMinute(1000) });
    (await door.enter(500, 500)).leave(null);
    await door.enter(500, 500);
  });

  it('is never waited for by a try that is larger', async () => {
    const { door, asked } = setUp({ requests: perMinute(10), tokens: perMinute(1000) });
    assert.deepEqual(await door.refused(900, 101), {
      fullForMs: null,
      why: "it may take 1001 tokens, which its provider's limit of 1000 tokens per minute never admits",
    });
    assert.equal(asked.length, 0);
    for (let i = 0; i < 10; i++) await door.enter(100, 0);
  });

  it('counts whole tokens, whatever a provider reports', async () => {
    for (const [input, output, left] of [
      [Number.NaN, -5, 1000],
      [Number.POSITIVE_INFINITY, 0, 0],
      [1.2, 0, 998],
    ] as const) {
      const { door, settled } = setUp({ tokens: perMinute(1000) });
      (await door.enter(1, 1)).leave({ input, output });
      assert.ok(settled[0]?.used.every(Number.isSafeInteger));
      await door.refused(left + 1, 0);
      if (left > 0) await door.enter(left, 0);
    }
  });
});

describe('a limit of requests at a time', () => {
  it('has a place for each try until it leaves', async () => {
    const { door } = setUp({ concurrent: 2 });
    const [first] = [await door.enter(), await door.enter()];
    assert.deepEqual(await door.refused(), {
      fullForMs: 1000,
      why: 'its provider is at its limit of 2 requests at a time',
    });
    first.leave(null);
    await door.enter();
    await door.refused();
  });

  it('gets one place back from one try, however often it leaves', async () => {
    const { door, settled } = setUp({ concurrent: 2 });
    const [first] = [await door.enter(), await door.enter()];
    first.leave(null);
    first.leave(null);
    assert.equal(settled.length, 1);
    await door.enter();
    await door.refused();
  });

  it('is asked about each time: nobody knows when a place is left', async () => {
    const { door, asked } = setUp({ concurrent: 1 });
    await door.enter();
    await door.refused();
    await door.refused();
    assert.equal(asked.length, 3);
    assert.equal(door.limiter.isFull, false);
  });
});

describe('several limits', () => {
  it('are taken all or none', async () => {
    const { door } = setUp({ requests: perMinute(2), tokens: perMinute(100), concurrent: 5 });
    await door.enter(100, 0);
    await door.refused(1, 0);
    await door.refused(1, 0);
    await door.enter(0, 0);
    await door.refused(0, 0);
  });

  it('are told of by the one that takes longest', async () => {
    const { clock, door } = setUp({ requests: { limit: 1, per: 'second' }, tokens: perMinute(10) });
    await door.enter(10, 0);
    assert.match((await door.refused(1, 0)).why, /10 tokens per minute/);
    clock.advance(2000);
    assert.match((await door.refused(1, 0)).why, /10 tokens per minute/);
    const both = setUp({ requests: { limit: 1, per: 'second' }, concurrent: 1 });
    await both.door.enter();
    const { fullForMs, why } = await both.door.refused();
    assert.equal(fullForMs, 1050);
    assert.match(why, /1 request per second/);
  });
});

describe('what is known of a full provider', () => {
  it('spares asking for a quarter of a second, no longer, and counts down', async () => {
    const { clock, door, asked } = setUp({ requests: perMinute(1) });
    await door.enter();
    assert.equal(door.limiter.isFull, false);
    await door.refused();
    assert.equal(door.limiter.isFull, true);
    clock.advance(249);
    assert.equal((await door.refused()).fullForMs, 63_000 - 249);
    assert.equal(asked.length, 2);
    clock.advance(1);
    assert.equal(door.limiter.isFull, false);
    assert.equal((await door.refused()).fullForMs, 63_000 - 250);
    assert.equal(asked.length, 3);
  });

  it('is not believed past the time at which there is room', async () => {
    const { clock, door } = setUp({ requests: { limit: 1, per: 'second' } });
    await door.enter();
    clock.advance(950);
    assert.equal((await door.refused()).fullForMs, 100);
    clock.advance(100);
    await door.enter();
  });

  it('of tokens does not keep out a smaller try', async () => {
    const { door, asked } = setUp({ tokens: perMinute(1000) });
    await door.enter(600, 0);
    await door.refused(401, 0);
    await door.refused(401, 0);
    assert.equal(asked.length, 2);
    await door.enter(400, 0);
  });

  it('of tokens is about the last try that was refused', async () => {
    const { door, asked } = setUp({ tokens: perMinute(1000) });
    await door.enter(900, 0);
    await door.refused(500, 0);
    await door.refused(200, 0);
    await door.refused(200, 0);
    assert.equal(asked.length, 3);
    await door.enter(100, 0);
  });

  it('of tokens is forgotten when a try gives some back', async () => {
    const { door } = setUp({ tokens: perMinute(1000) });
    const place = await door.enter(900, 0);
    await door.refused(500, 0);
    place.leave({ input: 100, output: 0 });
    assert.equal(door.limiter.isFull, false);
    await door.enter(500, 0);
  });

  it('of requests is not: they stay counted', async () => {
    const { door, asked } = setUp({ requests: perMinute(1) });
    const place = await door.enter();
    await door.refused();
    place.leave(null);
    await door.refused();
    assert.equal(asked.length, 2);
  });

  it('of requests holds for tries without tokens too, where both are used up', async () => {
    const { door, asked } = setUp({ requests: perMinute(1), tokens: perMinute(10) });
    await door.enter(10, 0);
    await door.refused(5, 0);
    await door.refused(0, 0);
    assert.equal(asked.length, 2);
  });
});

describe('limits that a new configuration changes', () => {
  it('keep what was counted', async () => {
    const { door, store, clock } = setUp({ requests: perMinute(5), concurrent: 2 });
    const place = await door.enter();
    await door.enter();
    const lower = new Door(store, clock, { requests: perMinute(2), concurrent: 3 });
    await lower.refused();
    const higher = new Door(store, clock, { requests: perMinute(6), concurrent: 3 });
    await higher.enter();
    await higher.refused();
    place.leave(null);
    await higher.enter();
  });

  it('forget only that the provider was full', async () => {
    const { door, store, clock } = setUp({ requests: perMinute(1) });
    await door.enter();
    await door.refused();
    await new Door(store, clock, { requests: perMinute(2) }).enter();
  });
});

describe('a store that cannot be asked', () => {
  it('lets everything pass: the provider refuses by itself what is too much', async () => {
    const { store, clock } = setUp({});
    const settled: unknown[] = [];
    const away = {
      ...store,
      admit: () => Promise.reject(new StateUnavailable('away')),
      settle: (settlement: unknown) => void settled.push(settlement),
    };
    const door = new Door(away, clock, { requests: perMinute(1), concurrent: 1 });
    for (let i = 0; i < 3; i++) (await door.enter()).leave({ input: 1, output: 1 });
    assert.deepEqual(settled, []);
  });

  it('is told apart from one that has a fault', async () => {
    const { store, clock } = setUp({});
    const broken = { ...store, admit: () => Promise.reject(new Error('a bug')) };
    await assert.rejects(new Door(broken, clock, { concurrent: 1 }).ask(), /a bug/);
  });
});

it('is counted under a name that no tenant can have, and in no ledger', async () => {
  const { door, asked, settled, store } = setUp({ requests: perMinute(5), tokens: perMinute(5) });
  (await door.enter(1, 1)).leave({ input: 2, output: 3 });
  assert.deepEqual([settled[0]?.used, settled[0]?.ledger], [[0, 5], []]);
  assert.equal(asked[0]?.tenant, '@openai');
  assert.doesNotMatch(accountOf('openai'), /^[a-z0-9_-]{1,64}$/);
  assert.deepEqual(await store.ledger(['2026-11-22'], null), []);
});
