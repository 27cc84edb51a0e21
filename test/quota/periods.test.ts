import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { PERIODS, partAt } from '../../src/quota/periods.ts';

/** What is a period's part, and how long it counts on. */
const SLIDING = [
  ['second', 50, 1_000],
  ['minute', 3_000, 60_000],
  ['hour', 180_000, 3_600_000],
] as const;

const anyTime = fc.integer({ min: 0, max: Date.UTC(2200, 0) });
const iso = (at: number) => new Date(at).toISOString();

describe('parts of a period', () => {
  for (const [period, length, stretch] of SLIDING) {
    it(`are a twentieth of a ${period}, which count for a ${period} after they end`, () => {
      fc.assert(
        fc.property(anyTime, (at) => {
          const { start, end, freeAt } = partAt(period, at);
          assert.ok(start <= at && at < end);
          assert.equal(start % length, 0);
          assert.equal(end - start, length);
          assert.equal(freeAt - end, stretch);
        }),
      );
    });
  }

  it('are the days of the calendar, UTC', () => {
    fc.assert(
      fc.property(anyTime, (at) => {
        const { start, end, freeAt } = partAt('day', at);
        assert.equal(iso(start), `${iso(at).slice(0, 10)}T00:00:00.000Z`);
        assert.equal(end, start + 86_400_000);
        assert.equal(freeAt, end);
      }),
    );
  });

  it('are the months of the calendar, UTC, whatever their length', () => {
    fc.assert(
      fc.property(anyTime, (at) => {
        const { start, end, freeAt } = partAt('month', at);
        assert.equal(iso(start), `${iso(at).slice(0, 7)}-01T00:00:00.000Z`);
        assert.equal(iso(end - 1).slice(0, 7), iso(at).slice(0, 7));
        assert.match(iso(end), /-01T00:00:00.000Z$/);
        assert.equal(freeAt, end);
      }),
    );
    const days = (month: string) => {
      const { start, end } = partAt('month', Date.parse(`${month}-15`));
      return (end - start) / 86_400_000;
    };
    const months = ['2026-11', '2026-12', '2027-01', '2027-02', '2028-02', '2000-02', '2100-02'];
    assert.deepEqual(months.map(days), [30, 31, 31, 28, 29, 29, 28]);
  });

  it('follow each other without a gap', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PERIODS), anyTime, (period, at) => {
        const part = partAt(period, at);
        assert.deepEqual(partAt(period, part.start), part);
        assert.deepEqual(partAt(period, part.end - 1), part);
        assert.equal(partAt(period, part.end).start, part.end);
        assert.ok(partAt(period, part.end).freeAt > part.freeAt);
      }),
    );
  });

  it('of no period are one that lasts for ever', () => {
    fc.assert(
      fc.property(anyTime, (at) => {
        assert.deepEqual(partAt(null, at), partAt(null, 0));
        assert.ok(partAt(null, at).start <= at && at < partAt(null, at).freeAt);
      }),
    );
  });

  for (const zone of ['Pacific/Kiritimati', 'America/New_York', 'Pacific/Pago_Pago']) {
    describe(`where the clocks go by ${zone}`, () => {
      const zoneBefore = process.env['TZ'];
      before(() => {
        process.env['TZ'] = zone;
        assert.notEqual(new Date().getTimezoneOffset(), 0);
      });
      after(() => {
        if (zoneBefore === undefined) delete process.env['TZ'];
        else process.env['TZ'] = zoneBefore;
      });

      it('are the same', () => {
        for (const at of ['2026-11-22T00:00:00Z', '2026-11-22T23:59:59Z', '2027-03-14T07:30:00Z']) {
          const { start, end } = partAt('day', Date.parse(at));
          assert.equal(iso(start), `${at.slice(0, 10)}T00:00:00.000Z`);
          assert.equal(end - start, 86_400_000);
        }
        assert.equal(
          iso(partAt('month', Date.parse('2026-12-31T23:59:59Z')).end),
          '2027-01-01T00:00:00.000Z',
        );
        assert.equal(
          iso(partAt('month', Date.parse('2027-01-01T00:00:00Z')).start),
          '2027-01-01T00:00:00.000Z',
        );
      });
    });
  }
});
