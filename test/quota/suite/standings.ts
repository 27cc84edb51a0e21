import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Desk, HOUR, limit, MINUTE, NOON, type OpenRig, SECOND } from './kit.ts';

export function standingsSuite(open: OpenRig): void {
  describe('standings', () => {
    it('are empty for limits that were never used', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const limits = ['requests/second', 'tokens/hour', 'usd/month', 'concurrent'].map((what) =>
        limit(what, 1),
      );
      const empty = { used: 0, reserved: 0, roomIn: 0, resetsIn: 0 };
      assert.deepEqual(await desk.store.standings('acme', limits), [
        empty,
        empty,
        empty,
        { ...empty, resetsIn: null },
      ]);
      assert.deepEqual(await desk.store.standings('acme', []), []);
    });

    it('come in the order of the limits that were asked for', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const [requests, tokens, unused] = [
        limit('requests/minute', 9),
        limit('tokens/day', 9),
        limit('usd/day', 9),
      ];
      await desk.take([requests, 1], [tokens, 5]);
      assert.deepEqual(await desk.store.standings('acme', [unused, tokens, requests]), [
        { used: 0, reserved: 0, roomIn: 0, resetsIn: 0 },
        { used: 0, reserved: 5, roomIn: 0, resetsIn: 12 * HOUR },
        { used: 1, reserved: 0, roomIn: 0, resetsIn: 63 * SECOND },
      ]);
    });

    it('say until when all is back, by what was taken last', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 100);
      const resetsIn = async () => (await desk.standing(tokens)).resetsIn;
      await desk.use(tokens, 10);
      await desk.time(NOON + 20 * SECOND);
      assert.equal(await resetsIn(), 43 * SECOND);
      const ticket = await desk.take([tokens, 10]);
      // Taken in the part that began at 18 s.
      assert.equal(await resetsIn(), 61 * SECOND);
      await desk.settle(ticket, [0]);
      assert.equal(await resetsIn(), 43 * SECOND);
      await desk.time(NOON + 63 * SECOND - 1);
      assert.equal(await resetsIn(), 1);
      await desk.time(NOON + 63 * SECOND);
      assert.equal(await resetsIn(), 0);
    });

    it('say of a refusal how long it takes until enough is back', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 100);
      await desk.use(tokens, 30);
      await desk.time(NOON + 10 * SECOND);
      await desk.take([tokens, 30]);
      await desk.time(NOON + 20 * SECOND);
      await desk.use(tokens, 30);
      // What is back after 63, 72 and 81 s.
      for (const [amount, roomIn] of [
        [11, 43],
        [40, 43],
        [41, 52],
        [70, 52],
        [71, 61],
        [100, 61],
        [101, null],
      ] as const) {
        const [standing] = await desk.refused([tokens, amount]);
        assert.deepEqual(standing, {
          used: 60,
          reserved: 30,
          roomIn: roomIn === null ? null : roomIn * SECOND,
          resetsIn: 61 * SECOND,
        });
      }
      await desk.time(NOON + 72 * SECOND - 1);
      assert.equal((await desk.refused([tokens, 41]))[0]?.roomIn, 1);
      await desk.time(NOON + 72 * SECOND);
      await desk.take([tokens, 41]);
    });

    it('say of a refusal which of its limits had room', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const [requests, tokens, usd, concurrent] = [
        limit('requests/minute', 5),
        limit('tokens/hour', 100),
        limit('usd/day', 100),
        limit('concurrent', 1),
      ];
      await desk.take([requests, 1], [tokens, 60], [usd, 60], [concurrent, 1]);
      await desk.time(NOON + MINUTE);
      assert.deepEqual(await desk.refused([requests, 1], [tokens, 41], [usd, 101], [concurrent, 1]), [
        { used: 1, reserved: 0, roomIn: 0, resetsIn: 3 * SECOND },
        { used: 0, reserved: 60, roomIn: 62 * MINUTE, resetsIn: 62 * MINUTE },
        { used: 0, reserved: 60, roomIn: null, resetsIn: 12 * HOUR - MINUTE },
        { used: 0, reserved: 1, roomIn: null, resetsIn: null },
      ]);
      const rooms = await desk.refused([tokens, 40], [usd, 41], [requests, 1]);
      assert.deepEqual(
        rooms.map(({ roomIn }) => roomIn),
        [0, 12 * HOUR - MINUTE, 0],
      );
    });

    it('say of a refusal that a limit of 0 never has room', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      for (const what of ['requests/second', 'tokens/month', 'concurrent']) {
        const [standing] = await desk.refused([limit(what, 0), 1]);
        const resetsIn = what === 'concurrent' ? null : 0;
        assert.deepEqual(standing, { used: 0, reserved: 0, roomIn: null, resetsIn });
      }
    });

    it('go by a limit that was lowered', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      await desk.use(limit('tokens/minute', 100), 40);
      await desk.time(NOON + 3 * SECOND);
      await desk.use(limit('tokens/minute', 100), 40);
      const roomIn = async (amount: number, max: number) =>
        (await desk.refused([limit('tokens/minute', max), amount]))[0]?.roomIn;
      assert.equal(await roomIn(10, 50), 60 * SECOND);
      assert.equal(await roomIn(11, 50), 63 * SECOND);
      assert.equal(await roomIn(51, 50), null);
      assert.equal(await roomIn(0, 39), 63 * SECOND);
    });
  });
}
