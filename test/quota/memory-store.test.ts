import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dayOf, LEDGER_SUMS, type LedgerSums } from '../../src/quota/ledger.ts';
import { MemoryStore } from '../../src/quota/memory-store.ts';
import type { Ticket } from '../../src/quota/store.ts';
import { type Rig, storeSuite } from './store-suite.ts';
import { DAY, Desk, HOUR, limit, MINUTE, NOON, newId, SECOND } from './suite/kit.ts';

function setUp(ledgerDays = 400): Rig & { store: MemoryStore } {
  let now = NOON;
  return {
    store: new MemoryStore({ wall: () => now, ledgerDays }),
    setTime: (ms) => {
      now = ms;
    },
    now: () => now,
    another: null,
  };
}

storeSuite('the store in memory', async () => setUp());

describe('the store in memory, by itself', () => {
  it('drops the counters and tenants that nothing is left of, as it is used', async () => {
    const rig = setUp();
    const usual = ['requests/second', 'tokens/minute', 'usd/hour', 'concurrent'].map((what) =>
      limit(what, 9),
    );
    for (let i = 0; i < 500; i++) {
      const desk = new Desk(rig, rig.store, `tenant${i}`);
      await desk.settle(await desk.take(...usual.map((of) => [of, 1] as const)), [0, 1, 1, 0]);
    }
    assert.ok(rig.store.size >= 1_500, `${rig.store.size}`);
    await rig.setTime(NOON + 2 * HOUR);
    const desk = new Desk(rig);
    for (let i = 0; i < 22_000; i++) await desk.store.admit({ tenant: 'acme', id: newId(), demands: [] });
    assert.equal(rig.store.size, 0);
  });

  it('keeps, of counters that come and go, little more than half as many again as are in use', async () => {
    const rig = setUp();
    const limits = Array.from({ length: 10 }, (_, i) => limit('tokens/second', 9, [`m${i}`]));
    let most = 0;
    for (let i = 0; i < 5_000; i++) {
      await rig.setTime(NOON + i * 10);
      const desk = new Desk(rig, rig.store, `tenant${i}`);
      await desk.settle(
        await desk.take(...limits.map((of) => [of, 1] as const)),
        limits.map(() => 1),
      );
      most = Math.max(most, rig.store.size);
    }
    // What is taken in 10 ms counts for up to 1050.
    assert.ok(most < 1.5 * 10 * 105 + 64, `${most}`);
  });

  it('drops, of a tenant that stays, the counters that it no longer uses', async () => {
    const rig = setUp();
    const desk = new Desk(rig);
    for (let i = 0; i < 300; i++) await desk.use(limit('tokens/minute', 9, [`m${i}`]), 1);
    assert.equal(rig.store.size, 300);
    await desk.time(NOON + 2 * MINUTE);
    for (let i = 0; i < 3_000; i++) await desk.use(limit('tokens/month', 9_999), 1);
    assert.equal(rig.store.size, 1);
  });

  it('drops nothing that is held or counts', async () => {
    const rig = setUp();
    const desk = new Desk(rig);
    const ticket = await desk.take([limit('concurrent', 1), 1], [limit('tokens/month', 9), 0]);
    await desk.use(limit('usd/month', 9), 4);
    await desk.time(NOON + HOUR);
    for (let i = 0; i < 1_500; i++) await desk.of('other').take();
    assert.deepEqual(await desk.taken(limit('concurrent', 1)), [0, 1]);
    assert.deepEqual(await desk.taken(limit('usd/month', 9)), [4, 0]);
    await desk.settle(ticket, [0, 7]);
    assert.deepEqual(await desk.taken(limit('concurrent', 1)), [0, 0]);
    // Its counter, with nothing in it, was dropped meanwhile.
    assert.deepEqual(await desk.taken(limit('tokens/month', 9)), [7, 0]);
  });

  it('keeps a request that holds nothing of any limit until it is settled', async () => {
    const rig = setUp();
    const desk = new Desk(rig);
    const ticket = await desk.take();
    for (let i = 0; i < 1_500; i++) await desk.of('other').take();
    await desk.settle(ticket, [], [entry(1)]);
    assert.equal((await desk.store.ledger(['2026-11-22'], 'acme')).length, 1);
  });

  it('keeps no counter for having been asked how it stands', async () => {
    const rig = setUp();
    const desk = new Desk(rig);
    for (let i = 0; i < 100; i++) await desk.standing(limit('tokens/day', 9, [`m${i}`]));
    assert.equal(rig.store.size, 0);
  });

  it('keeps the ledger for as many days as it is told', async () => {
    const rig = setUp(3);
    const desk = new Desk(rig);
    const days = [0, 1, 2, 3, 4, 5].map((day) => dayOf(NOON + day * DAY));
    const kept = async () => (await desk.store.ledger(days, null)).map(({ day }) => day);
    for (const i of days.keys()) {
      await desk.time(NOON + i * DAY);
      await desk.settle(await desk.take(), [], [entry(1)]);
      assert.deepEqual(await kept(), days.slice(Math.max(0, i - 3), i + 1));
    }
    await desk.time(Date.UTC(2026, 10, 31) - 1);
    assert.deepEqual(await kept(), days.slice(5));
    const late = { tenant: 'acme', id: newId(), at: NOON, demands: [], held: false };
    await desk.settle(late, [], [entry(1)]);
    assert.deepEqual(await kept(), days.slice(5));
    await desk.time(Date.UTC(2026, 11, 1));
    assert.deepEqual(await kept(), []);
  });

  it('keeps rows of the ledger apart that differ in one thing only, whichever was booked last', async () => {
    const desk = new Desk(setUp());
    const one = { key: 'a', model: 'b', target: 'c', sums: sums(1) };
    const others = [
      { ...one, key: 'x' },
      { ...one, model: 'x' },
      { ...one, target: 'x' },
    ];
    for (const other of others) {
      for (const booked of [one, one, other]) await desk.settle(await desk.take(), [], [booked]);
    }
    const rows = await desk.store.ledger(['2026-11-22'], null);
    const requests = rows.map(({ key, model, target, sums }) => [key + model + target, sums.requests]);
    assert.deepEqual(Object.fromEntries(requests), { abc: 6, xbc: 1, axc: 1, abx: 1 });
  });

  it('books once a ticket of others that is settled twice', async () => {
    const desk = new Desk(setUp());
    const of = limit('requests/minute', 9);
    const ticket: Ticket = {
      tenant: 'acme',
      id: newId(),
      at: NOON,
      demands: [{ limit: of, amount: 1 }],
      held: false,
    };
    await desk.settle(ticket, [0], [entry(1)]);
    await desk.settle(ticket, [0], [entry(1)]);
    assert.deepEqual(await desk.taken(of), [1, 0]);
    assert.deepEqual(
      (await desk.store.ledger(['2026-11-22'], null)).map(({ sums }) => sums),
      [sums(1)],
    );
  });

  it('does not follow the clock of another store into the future', async () => {
    const desk = new Desk(setUp());
    const of = limit('tokens/minute', 9);
    const ticket = { tenant: 'acme', id: newId(), at: NOON + DAY, demands: [{ limit: of, amount: 1 }] };
    await desk.settle({ ...ticket, held: false }, [5]);
    assert.deepEqual(await desk.standing(of), { used: 5, reserved: 0, roomIn: 0, resetsIn: 63 * SECOND });
    await desk.time(NOON + 63 * SECOND);
    assert.deepEqual(await desk.taken(of), [0, 0]);
  });

  it('gives back no more than is held where a clock went forward and back', async () => {
    const desk = new Desk(setUp());
    const of = limit('tokens/minute', 100);
    const ticket = await desk.take([of, 60]);
    await desk.time(NOON + HOUR);
    assert.deepEqual(await desk.taken(of), [0, 0]);
    await desk.time(NOON);
    await desk.take([of, 10]);
    await desk.settle(ticket, [20]);
    assert.deepEqual(await desk.taken(of), [20, 0]);
    await desk.refused([of, 81]);
  });

  describe('seeded', () => {
    it('counts what was used before it was asked, from when it was used', async () => {
      const rig = setUp();
      const desk = new Desk(rig);
      await desk.time(NOON + 10 * SECOND);
      const tokens = limit('tokens/minute', 100);
      rig.store.seed('acme', tokens, 70, NOON + 4 * SECOND);
      assert.deepEqual(await desk.standing(tokens), {
        used: 70,
        reserved: 0,
        roomIn: 0,
        resetsIn: 56 * SECOND,
      });
      await desk.refused([tokens, 31]);
      await desk.take([tokens, 30]);
      await desk.time(NOON + 66 * SECOND);
      await desk.take([tokens, 70]);
    });

    it('adds to what is there already, unless it was used so long ago that it does not count', async () => {
      const rig = setUp();
      const desk = new Desk(rig);
      const tokens = limit('tokens/minute', 100);
      await desk.take([tokens, 5]);
      rig.store.seed('acme', tokens, 70, NOON);
      rig.store.seed('acme', tokens, 7, NOON - 30 * SECOND);
      rig.store.seed('acme', tokens, 50, NOON - 63 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [77, 5]);
    });

    it('takes what is said of the future as used now', async () => {
      const rig = setUp();
      const desk = new Desk(rig);
      const tokens = limit('tokens/minute', 100);
      rig.store.seed('acme', tokens, 70, NOON + 40 * SECOND);
      assert.equal((await desk.standing(tokens)).resetsIn, 63 * SECOND);
      await desk.time(NOON + 63 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [0, 0]);
    });

    it('takes more than the limit, but no place of a request', async () => {
      const rig = setUp();
      const desk = new Desk(rig);
      rig.store.seed('acme', limit('tokens/minute', 100), 170, NOON);
      rig.store.seed('acme', limit('concurrent', 3), 2, NOON);
      const [standing] = await desk.refused([limit('tokens/minute', 100), 0]);
      assert.equal(standing?.used, 170);
      assert.deepEqual(await desk.taken(limit('concurrent', 3)), [0, 0]);
    });
  });

  it('forgets what was taken of a limit when it is told to, and of no other', async () => {
    const rig = setUp();
    const desk = new Desk(rig);
    const [tokens, usd] = [limit('tokens/minute', 100), limit('usd/minute', 100)];
    await desk.use(tokens, 60);
    await desk.use(usd, 60);
    rig.store.forget('acme', tokens);
    rig.store.forget('ann', tokens);
    assert.deepEqual(await desk.taken(tokens), [0, 0]);
    assert.deepEqual(await desk.taken(usd), [60, 0]);
  });
});

function sums(each: number): LedgerSums {
  return Object.fromEntries(LEDGER_SUMS.map((name) => [name, each])) as Record<keyof LedgerSums, number>;
}

function entry(each: number) {
  return { key: 'ci', model: 'smart', target: 'a/b', sums: sums(each) };
}
