import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ENTRY, Gateway, settled, three } from './outage-kit.ts';
import { limit, NOON, SECOND } from './suite/kit.ts';

const REQUESTS = limit('requests/minute', 100);
const TOKENS = limit('tokens/minute', 100);
const DAILY = limit('tokens/day', 100);
const USD = limit('usd/month', 1_000_000_000);
const PLACES = limit('concurrent', 6);

describe('when Redis is back', () => {
  it('is asked by the next request', async () => {
    const gateway = new Gateway({ alive: 3 });
    gateway.line.cut();
    assert.equal(await gateway.countUntilRefused(REQUESTS), 33);
    gateway.line.mend();
    const ticket = await gateway.take([REQUESTS, 1]);
    assert.equal(ticket.held, true);
    assert.deepEqual(await gateway.there(REQUESTS), [1, 0]);
  });

  it('hears of all that was let in and has ended, as of when it was let in, and once', async () => {
    const gateway = new Gateway();
    gateway.line.cut();
    gateway.clock.now += 10 * SECOND;
    const ticket = await gateway.take([REQUESTS, 1], [TOKENS, 20], [USD, 500], [PLACES, 1]);
    assert.deepEqual([ticket.held, ticket.at], [false, NOON + 10 * SECOND]);
    gateway.clock.now += 20 * SECOND;
    gateway.settle(ticket, [0, 30, 70, 0], [ENTRY]);
    gateway.settle(ticket, [0, 30, 70, 0], [ENTRY]);
    gateway.line.mend();
    assert.deepEqual(await gateway.there(REQUESTS), [1, 0]);
    assert.deepEqual(await gateway.there(TOKENS), [30, 0]);
    assert.deepEqual(await gateway.there(USD), [70, 0]);
    assert.deepEqual(await gateway.there(PLACES), [0, 0]);
    const [row, ...rest] = await gateway.shared.ledger(['2026-11-22'], null);
    assert.deepEqual([row?.tenant, row?.sums, rest], ['acme', ENTRY.sums, []]);
    gateway.clock.now += 42 * SECOND - 1;
    assert.deepEqual(await gateway.there(TOKENS), [30, 0]);
    gateway.clock.now += 1;
    assert.deepEqual(await gateway.there(TOKENS), [0, 0]);
  });

  it('hears of what is still under way when it ends', async () => {
    const gateway = new Gateway();
    gateway.line.cut();
    const ticket = await gateway.take([REQUESTS, 1], [TOKENS, 20], [PLACES, 1]);
    gateway.line.mend();
    assert.deepEqual(await gateway.there(REQUESTS), [0, 0]);
    gateway.settle(ticket, [0, 30, 0]);
    assert.deepEqual(await gateway.there(REQUESTS), [1, 0]);
    assert.deepEqual(await gateway.there(TOKENS), [30, 0]);
    assert.deepEqual(await gateway.there(PLACES), [0, 0]);
  });

  it('hears nothing of what was refused', async () => {
    const gateway = new Gateway();
    gateway.line.cut();
    await gateway.refused([REQUESTS, 1], [TOKENS, 101]);
    gateway.line.mend();
    assert.deepEqual(await gateway.there(REQUESTS), [0, 0]);
    assert.deepEqual(await gateway.there(TOKENS), [0, 0]);
  });
});

describe('a second outage', () => {
  it('begins anew from what was last seen', async () => {
    const gateway = new Gateway({ alive: 2 });
    await gateway.take([DAILY, 0]);
    gateway.line.cut();
    for (let i = 0; i < 5; i++) gateway.settle(await gateway.take([DAILY, 10]), [10]);
    await gateway.refused([DAILY, 1]);
    gateway.line.mend();
    await gateway.take([DAILY, 4]);
    await settled();
    await gateway.take([DAILY, 4]);
    gateway.line.cut();
    assert.deepEqual(await gateway.taken(DAILY), [29, 0]);
    assert.equal(await gateway.countUntilRefused(DAILY), 21);
  });

  it('counts on where Redis was not asked in between', async () => {
    const gateway = new Gateway({ alive: 2 });
    gateway.line.cut();
    gateway.settle(await gateway.take([DAILY, 40]), [40]);
    gateway.line.mend();
    gateway.line.cut();
    await gateway.refused([DAILY, 11]);
    await gateway.take([DAILY, 10]);
  });

  it('counts on while what was let in is not written back', async () => {
    const gateway = new Gateway({ alive: 2 });
    gateway.line.cut();
    gateway.settle(await gateway.take([DAILY, 40]), [40]);
    gateway.line.slow = true;
    gateway.line.mend();
    for (let i = 0; i < 3; i++) {
      await gateway.take([DAILY, 0]);
      await settled();
    }
    gateway.line.cut();
    await gateway.refused([DAILY, 11]);
    await gateway.take([DAILY, 10]);
  });

  it('counts on where something was let in after it was asked whether all is written', async () => {
    const gateway = new Gateway();
    gateway.line.cut();
    gateway.settle(await gateway.take([DAILY, 10]), [10]);
    gateway.line.mend();
    const { promise, resolve } = Promise.withResolvers<void>();
    gateway.line.flushing = promise;
    await gateway.take([DAILY, 0]);
    gateway.line.cut();
    gateway.settle(await gateway.take([DAILY, 40]), [40]);
    resolve();
    await settled();
    gateway.line.slow = true;
    gateway.line.mend();
    await gateway.take([DAILY, 0]);
    gateway.line.cut();
    assert.deepEqual(await gateway.taken(DAILY), [60, 0]);
  });

  it('counts on with what is seen then, where what was seen first does not count any more', async () => {
    const gateway = new Gateway();
    await gateway.take([TOKENS, 90]);
    gateway.clock.now += 30 * SECOND;
    gateway.line.cut();
    await gateway.take([TOKENS, 1]);
    gateway.line.mend();
    gateway.clock.now += 33 * SECOND;
    await gateway.take([TOKENS, 50]);
    gateway.line.cut();
    assert.deepEqual(await gateway.taken(TOKENS), [50, 1]);
  });

  it('counts on while something that was let in is under way', async () => {
    const gateway = new Gateway({ alive: 2 });
    gateway.line.cut();
    const ticket = await gateway.take([DAILY, 40]);
    gateway.line.mend();
    for (let i = 0; i < 3; i++) {
      await gateway.take([DAILY, 1]);
      await settled();
    }
    gateway.line.cut();
    assert.deepEqual(await gateway.taken(DAILY), [2, 40]);
    gateway.settle(ticket, [5]);
    assert.deepEqual(await gateway.taken(DAILY), [7, 0]);
  });

  it('counts besides what others have taken meanwhile', async () => {
    const [first, second] = three();
    await first.take([DAILY, 0]);
    first.line.cut();
    await first.take([DAILY, 10]);
    first.line.mend();
    await second.take([DAILY, 30]);
    await first.take([DAILY, 0]);
    first.line.cut();
    assert.deepEqual(await first.taken(DAILY), [10, 10]);
    first.line.mend();
    await second.take([DAILY, 30]);
    await first.take([DAILY, 0]);
    first.line.cut();
    assert.deepEqual(await first.taken(DAILY), [20, 10]);
  });

  it('counts on for a limit that Redis has not told since, though others were', async () => {
    const gateway = new Gateway();
    gateway.line.cut();
    gateway.settle(await gateway.take([DAILY, 40], [TOKENS, 40]), [40, 40]);
    gateway.line.mend();
    await gateway.take([TOKENS, 0]);
    await settled();
    await gateway.take([TOKENS, 1]);
    gateway.line.cut();
    assert.deepEqual(await gateway.taken(TOKENS), [41, 0]);
    assert.deepEqual(await gateway.taken(DAILY), [40, 0]);
  });

  it('sees the gateways that are alive then', async () => {
    const gateway = new Gateway({ alive: 4 });
    gateway.line.cut();
    gateway.settle(await gateway.take([limit('requests/day', 4), 1]));
    await gateway.refused([limit('requests/day', 4), 1]);
    gateway.line.mend();
    gateway.alive = 1;
    for (const id of ['a', 'b']) {
      const demands = [{ limit: limit('requests/day', 4), amount: 0 }];
      await gateway.store.admit({ tenant: 'acme', id, demands });
      await settled();
    }
    gateway.line.cut();
    await gateway.take([limit('requests/day', 4), 1]);
  });
});
