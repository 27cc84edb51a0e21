import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DAY, Desk, HOUR, limit, MINUTE, NOON, type OpenRig, SECOND } from './kit.ts';

/** Of each sliding period: how long a stretch is, and a part of it. */
const SLIDING = [
  ['second', SECOND, 50],
  ['minute', MINUTE, 3 * SECOND],
  ['hour', HOUR, 3 * MINUTE],
] as const;

/** What is taken at the one time counts until the other. */
const CALENDAR: readonly (readonly ['day' | 'month', string, string])[] = [
  ['day', '2026-11-22T00:00:00.000Z', '2026-11-23T00:00:00Z'],
  ['day', '2026-11-22T23:59:59.999Z', '2026-11-23T00:00:00Z'],
  ['day', '2026-12-31T12:00:00.000Z', '2027-01-01T00:00:00Z'],
  ['day', '2028-02-28T12:00:00.000Z', '2028-02-29T00:00:00Z'],
  ['day', '2028-02-29T12:00:00.000Z', '2028-03-01T00:00:00Z'],
  ['month', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00Z'],
  ['month', '2026-11-30T23:59:59.999Z', '2026-12-01T00:00:00Z'],
  ['month', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'],
  ['month', '2027-01-31T12:00:00.000Z', '2027-02-01T00:00:00Z'],
  ['month', '2027-02-01T12:00:00.000Z', '2027-03-01T00:00:00Z'],
  ['month', '2028-02-29T12:00:00.000Z', '2028-03-01T00:00:00Z'],
  ['month', '2100-02-28T12:00:00.000Z', '2100-03-01T00:00:00Z'],
];

export function periodsSuite(open: OpenRig): void {
  describe('periods', () => {
    for (const [per, stretch, part] of SLIDING) {
      it(`counts what was taken in the last ${per}, and up to a twentieth of it longer`, async (t) => {
        const desk = await Desk.at(NOON, open, t);
        const requests = limit(`requests/${per}`, 2);
        await desk.take([requests, 1]);
        await desk.time(NOON + part - 1);
        await desk.take([requests, 1]);
        for (const at of [NOON + part, NOON + stretch, NOON + part + stretch - 1]) {
          await desk.time(at);
          await desk.refused([requests, 1]);
        }
        await desk.time(NOON + part + stretch);
        await desk.take([requests, 1]);
        await desk.take([requests, 1]);
        await desk.refused([requests, 1]);
      });

      it(`gives back what was taken over a ${per} in the order and at the pace that it was taken`, async (t) => {
        const desk = await Desk.at(NOON, open, t);
        const tokens = limit(`tokens/${per}`, 210);
        for (let i = 0; i < 21; i++) {
          await desk.time(NOON + i * part);
          await desk.use(tokens, 10);
        }
        await desk.refused([tokens, 1]);
        for (let i = 0; i < 21; i++) {
          await desk.time(NOON + stretch + (i + 1) * part - 1);
          assert.deepEqual(await desk.taken(tokens), [210 - 10 * i, 0]);
          await desk.time(NOON + stretch + (i + 1) * part);
          assert.deepEqual(await desk.taken(tokens), [200 - 10 * i, 0]);
        }
      });
    }

    for (const [per, taken, back] of CALENDAR) {
      it(`gives back what was taken at ${taken}, per ${per}, at ${back}`, async (t) => {
        const [from, until] = [Date.parse(taken), Date.parse(back)];
        const desk = await Desk.at(from, open, t);
        const usd = limit(`usd/${per}`, 100);
        const verdict = await desk.ask([[usd, 100]]);
        assert.equal(verdict.standings[0]?.resetsIn, until - from);
        await desk.time(until - 1);
        const [standing] = await desk.refused([usd, 1]);
        assert.deepEqual(standing, { used: 0, reserved: 100, roomIn: 1, resetsIn: 1 });
        await desk.time(until);
        await desk.take([usd, 100]);
        await desk.refused([usd, 1]);
      });
    }

    it('never gives back by time what is held at a time', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const concurrent = limit('concurrent', 1);
      const ticket = await desk.take([concurrent, 1]);
      await desk.time(NOON + 400 * DAY);
      await desk.refused([concurrent, 1]);
      await desk.settle(ticket);
      await desk.take([concurrent, 1]);
    });

    it('counts each limit by its own period', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const limits = ['second', 'minute', 'hour', 'day', 'month'].map((per) => limit(`requests/${per}`, 9));
      const used = async () => (await desk.store.standings('acme', limits)).map((standing) => standing.used);
      await desk.take(...limits.map((of) => [of, 1] as const));
      for (const [time, left] of [
        [NOON + 1_049, [1, 1, 1, 1, 1]],
        [NOON + 1_050, [0, 1, 1, 1, 1]],
        [NOON + 63 * SECOND, [0, 0, 1, 1, 1]],
        [NOON + 63 * MINUTE, [0, 0, 0, 1, 1]],
        [NOON + 12 * HOUR, [0, 0, 0, 0, 1]],
        [NOON + 9 * DAY, [0, 0, 0, 0, 0]],
      ] as const) {
        await desk.time(time);
        assert.deepEqual(await used(), left, new Date(time).toISOString());
      }
    });

    it('gives back at once all that a wait was long enough for', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 100);
      for (const [seconds, amount] of [
        [0, 1],
        [3, 2],
        [6, 4],
        [9, 8],
        [30, 16],
        [60, 32],
      ] as const) {
        await desk.time(NOON + seconds * SECOND);
        await desk.use(tokens, amount);
      }
      await desk.time(NOON + 72 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [48, 0]);
      await desk.take([tokens, 52]);
      await desk.time(NOON + 123 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [0, 52]);
    });

    it('is not taken in by a clock that is set back', async (t) => {
      const newest = NOON + 30 * SECOND;
      const desk = await Desk.at(newest + SECOND, open, t);
      const tokens = limit('tokens/minute', 10);
      await desk.take([tokens, 5]);
      await desk.time(NOON);
      const ticket = await desk.take([tokens, 5]);
      const [standing] = await desk.refused([tokens, 1]);
      assert.deepEqual(standing, { used: 0, reserved: 10, roomIn: 63 * SECOND, resetsIn: 63 * SECOND });
      await desk.settle(ticket, [6]);
      await desk.time(newest + 63 * SECOND - 1);
      assert.deepEqual(await desk.taken(tokens), [6, 5]);
      await desk.refused([tokens, 1]);
      await desk.time(newest + 63 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [0, 0]);
      await desk.take([tokens, 10]);
    });

    for (const order of ['first', 'last']) {
      it(`goes by the newest of a request's counters where a clock was set back, if it is the ${order}`, async (t) => {
        const newest = NOON + 30 * SECOND;
        const desk = await Desk.at(newest + SECOND, open, t);
        const [ahead, fresh] = [limit('tokens/minute', 10), limit('tokens/hour', 10)];
        await desk.take([ahead, 1]);
        await desk.time(NOON);
        const demands = [[ahead, 2] as const, [fresh, 2] as const];
        const ticket = await desk.take(...(order === 'first' ? demands : demands.toReversed()));
        await desk.settle(ticket, [5, 5]);
        await desk.time(newest + 63 * SECOND - 1);
        assert.deepEqual(await desk.taken(ahead), [5, 1]);
        await desk.time(newest + 63 * SECOND);
        assert.deepEqual(await desk.taken(ahead), [0, 0]);
        assert.deepEqual(await desk.taken(fresh), [5, 0]);
      });
    }
  });
}
