import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LEDGER_SUMS, type LedgerEntry, type LedgerRow, type LedgerSums } from '../../../src/quota/ledger.ts';
import { DAY, Desk, limit, NOON, newId, type OpenRig } from './kit.ts';

const [TODAY, TOMORROW] = ['2026-11-22', '2026-11-23'] as const;

/** Sums that differ from each other, and from those of another `n`. */
function sums(n: number): LedgerSums {
  const entries = LEDGER_SUMS.map((name, i) => [name, n * 10 ** i] as const);
  return Object.fromEntries(entries) as Record<keyof LedgerSums, number>;
}

function entry(n: number, model = 'smart', target = 'openai/gpt', key = 'ci'): LedgerEntry {
  return { key, model, target, sums: sums(n) };
}

function sorted(rows: readonly LedgerRow[]): LedgerRow[] {
  return rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** Admits a request without limits and settles it with these entries. */
async function request(desk: Desk, ...entries: LedgerEntry[]): Promise<void> {
  await desk.settle(await desk.take(), [], entries);
}

export function ledgerSuite(open: OpenRig): void {
  describe('the ledger', () => {
    it('is empty until something was settled', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      await request(desk);
      assert.deepEqual(await desk.store.ledger([TODAY], null), []);
      assert.deepEqual(await desk.store.ledger([TODAY], 'acme'), []);
      assert.deepEqual(await desk.store.ledger([], null), []);
    });

    it('adds up what was settled', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      for (const n of [1, 2, 4]) await request(desk, entry(n));
      const row = { day: TODAY, tenant: 'acme', key: 'ci', model: 'smart', target: 'openai/gpt' };
      assert.deepEqual(await desk.store.ledger([TODAY], 'acme'), [{ ...row, sums: sums(7) }]);
    });

    it('has a row for each day, tenant, key, model and target', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      await request(desk, entry(1), entry(2, 'smart', 'anthropic/claude'));
      await request(desk, entry(3, 'fast'), entry(4, 'smart', 'openai/gpt', 'laptop'));
      await request(desk.of('other'), entry(5));
      await desk.time(NOON + DAY);
      await request(desk, entry(6));
      await request(desk, entry(7), entry(8));
      const row = { day: TODAY, tenant: 'acme', key: 'ci', model: 'smart', target: 'openai/gpt' };
      const today = [
        { ...row, sums: sums(1) },
        { ...row, target: 'anthropic/claude', sums: sums(2) },
        { ...row, model: 'fast', sums: sums(3) },
        { ...row, key: 'laptop', sums: sums(4) },
      ];
      const other = { ...row, tenant: 'other', sums: sums(5) };
      const tomorrow = { ...row, day: TOMORROW, sums: sums(21) };
      const read = async (days: string[], tenant: string | null) =>
        sorted(await desk.store.ledger(days, tenant));
      assert.deepEqual(await read([TODAY], 'acme'), sorted(today));
      assert.deepEqual(await read([TODAY], 'other'), [other]);
      assert.deepEqual(await read([TODAY], null), sorted([...today, other]));
      assert.deepEqual(await read([TOMORROW], 'acme'), [tomorrow]);
      assert.deepEqual(await read([TODAY, TOMORROW], null), sorted([...today, other, tomorrow]));
      assert.deepEqual(await read([TODAY, TOMORROW, TODAY], 'other'), [other]);
      assert.deepEqual(await read(['2026-11-21', '2026-11-24'], null), []);
      assert.deepEqual(await read([TODAY, TOMORROW], 'nobody'), []);
    });

    it('books a request on the day that it was admitted on', async (t) => {
      const midnight = Date.UTC(2026, 10, 23);
      const desk = await Desk.at(midnight - 1, open, t);
      const ticket = await desk.take([limit('tokens/minute', 10), 5]);
      await desk.time(midnight);
      const next = await desk.take();
      await desk.settle(next, [], [entry(2)]);
      await desk.settle(ticket, [5], [entry(1)]);
      assert.deepEqual(
        (await desk.store.ledger([TODAY], 'acme')).map((row) => row.sums.requests),
        [1],
      );
      assert.deepEqual(
        (await desk.store.ledger([TOMORROW], 'acme')).map((row) => row.sums.requests),
        [2],
      );
    });

    it('keeps names apart whatever characters they are made of', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const names = [
        'plain',
        'with space',
        'a|b',
        'a',
        'b',
        '"quoted"',
        "'single'",
        'back\\slash',
        'a/b/c',
        'größe→模型🙂',
        'line\nbreak',
        'nul\0nul',
        '{braces}',
        '1',
        '-',
        '__proto__',
        'a,b:c;d',
      ];
      const entries = names.flatMap((model, i) =>
        names.map((name, j) => entry(1 + i * names.length + j, model, `host/${name}`)),
      );
      await request(desk, ...entries);
      await request(desk, entry(1000, 'a|b', 'c'), entry(1001, 'a', 'b|c'));
      await request(desk, entry(1002, 'a', 'c', 'b|'), entry(1003, '|a', 'c', 'b'));
      const rows = await desk.store.ledger([TODAY], 'acme');
      const found = new Map(rows.map((row) => [JSON.stringify([row.key, row.model, row.target]), row.sums]));
      assert.equal(rows.length, names.length ** 2 + 4);
      for (const { key, model, target, sums } of entries) {
        assert.deepEqual(found.get(JSON.stringify([key, model, target])), sums, `${model} ${target}`);
      }
      assert.deepEqual(found.get(JSON.stringify(['ci', 'a', 'b|c'])), sums(1001));
      assert.deepEqual(found.get(JSON.stringify(['b', '|a', 'c'])), sums(1003));
    });

    it('adds up to the unit what is as large as numbers get', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const cost = (n: number) => ({ ...entry(0), sums: { ...sums(0), cost: n } });
      await request(desk, cost(9e15));
      await request(desk, cost(1), cost(2));
      const [row] = await desk.store.ledger([TODAY], 'acme');
      assert.equal(row?.sums.cost, 9_000_000_000_000_003);
      assert.equal(row?.sums.input, 0);
    });

    it('takes in once what is settled twice', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const ticket = await desk.take([limit('tokens/minute', 10), 5]);
      await desk.settle(ticket, [5], [entry(1)]);
      await desk.settle(ticket, [5], [entry(1)]);
      assert.deepEqual(
        (await desk.store.ledger([TODAY], 'acme')).map(({ sums }) => sums),
        [sums(1)],
      );
    });

    it('takes in what was let in without the store', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const ticket = { tenant: 'acme', id: newId(), at: NOON - DAY, demands: [], held: false };
      await desk.settle(ticket, [], [entry(3)]);
      const [row] = await desk.store.ledger(['2026-11-21'], 'acme');
      assert.deepEqual(row?.sums, sums(3));
    });

    it('leaves alone what it was handed', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const handed = entry(3);
      for (let i = 0; i < 3; i++) await request(desk, handed);
      const [row] = await desk.store.ledger([TODAY], null);
      assert.deepEqual(row?.sums, sums(9));
      assert.deepEqual(handed, entry(3));
    });

    it('hands out rows that can be changed without harm', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      await request(desk, entry(3));
      for (const row of await desk.store.ledger([TODAY], null)) row.sums.cost = 0;
      const [row] = await desk.store.ledger([TODAY], null);
      assert.deepEqual(row?.sums, sums(3));
    });
  });
}
