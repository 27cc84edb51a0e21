import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Ticket } from '../../../src/quota/store.ts';
import { DAY, Desk, limit, NOON, newId, type OpenRig, SECOND } from './kit.ts';

export function settlementSuite(open: OpenRig): void {
  describe('settlement', () => {
    for (const what of ['tokens/minute', 'input_tokens/hour', 'output_tokens/day', 'usd/month']) {
      it(`charges what was used of ${what}, and gives the rest back`, async (t) => {
        const desk = await Desk.at(NOON, open, t);
        const of = limit(what, 100);
        const ticket = await desk.take([of, 80]);
        await desk.refused([of, 21]);
        await desk.settle(ticket, [30]);
        assert.deepEqual(await desk.taken(of), [30, 0]);
        await desk.refused([of, 71]);
        await desk.take([of, 70]);
      });
    }

    it('keeps the count of a request whatever became of it', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const requests = limit('requests/minute', 1);
      await desk.settle(await desk.take([requests, 1]), [0]);
      assert.deepEqual(await desk.taken(requests), [1, 0]);
      await desk.refused([requests, 1]);
    });

    it('gives back the place of a request, and charges nothing for it', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const concurrent = limit('concurrent', 2);
      const tickets = [await desk.take([concurrent, 1]), await desk.take([concurrent, 1])] as const;
      await desk.refused([concurrent, 1]);
      await desk.settle(tickets[1]);
      assert.deepEqual(await desk.taken(concurrent), [0, 1]);
      await desk.take([concurrent, 1]);
      await desk.refused([concurrent, 1]);
    });

    it('charges in full what goes beyond the reservation, which leaves less room', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 100);
      await desk.settle(await desk.take([tokens, 10]), [60]);
      assert.deepEqual(await desk.taken(tokens), [60, 0]);
      await desk.refused([tokens, 41]);
      await desk.settle(await desk.take([tokens, 40]), [340]);
      assert.deepEqual(await desk.taken(tokens), [400, 0]);
      const [standing] = await desk.refused([tokens, 1]);
      assert.equal(standing?.roomIn, 63 * SECOND);
    });

    it('charges what was used although nothing was reserved', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const usd = limit('usd/day', 100);
      await desk.settle(await desk.take([usd, 0]), [7]);
      assert.deepEqual(await desk.taken(usd), [7, 0]);
    });

    it('settles each demand of a request by itself', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const limits = ['tokens/minute', 'requests/hour', 'usd/day', 'concurrent', 'output_tokens/month'].map(
        (what) => limit(what, 100),
      );
      const ticket = await desk.take(...limits.map((of) => [of, of.of === 'usd' ? 9 : 1] as const));
      await desk.settle(ticket, [3, 0, 2, 0, 0]);
      assert.deepEqual(await Promise.all(limits.map((of) => desk.taken(of))), [
        [3, 0],
        [1, 0],
        [2, 0],
        [0, 0],
        [0, 0],
      ]);
    });

    it('books in the part of admission, however late', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 100);
      const early = await desk.take([tokens, 10]);
      await desk.time(NOON + 30 * SECOND);
      const late = await desk.take([tokens, 20]);
      await desk.time(NOON + 50 * SECOND);
      await desk.settle(late, [25]);
      await desk.settle(early, [40]);
      assert.deepEqual(await desk.taken(tokens), [65, 0]);
      await desk.time(NOON + 63 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [25, 0]);
      await desk.time(NOON + 93 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [0, 0]);
    });

    it('books in a part before the others, and in one that stands empty', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 100);
      const first = await desk.take([tokens, 0]);
      await desk.time(NOON + 30 * SECOND);
      await desk.use(tokens, 5);
      await desk.settle(first, [10]);
      await desk.time(NOON + 40 * SECOND);
      await desk.settle(await desk.take([tokens, 50]), [0]);
      assert.deepEqual(await desk.standing(tokens), {
        used: 15,
        reserved: 0,
        roomIn: 0,
        resetsIn: 53 * SECOND,
      });
      await desk.time(NOON + 63 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [5, 0]);
    });

    it('books nothing where the part of admission no longer counts', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const [minute, day, month, concurrent] = [
        limit('tokens/minute', 100),
        limit('tokens/day', 100),
        limit('tokens/month', 100),
        limit('concurrent', 1),
      ];
      const ticket = await desk.take([minute, 100], [day, 100], [month, 100], [concurrent, 1]);
      await desk.time(NOON + DAY);
      await desk.take([minute, 30], [day, 30]);
      await desk.settle(ticket, [60, 60, 60, 0]);
      assert.deepEqual(await desk.taken(minute), [0, 30]);
      assert.deepEqual(await desk.taken(day), [0, 30]);
      assert.deepEqual(await desk.taken(month), [60, 0]);
      assert.deepEqual(await desk.taken(concurrent), [0, 0]);
    });

    it('books nothing for a reservation that went at the last moment, and all a moment before', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const [tokens, more] = [limit('tokens/minute', 100), limit('tokens/minute', 100, ['more'])];
      const tickets = [await desk.take([tokens, 10]), await desk.take([more, 10])] as const;
      await desk.time(NOON + 63 * SECOND - 1);
      await desk.settle(tickets[0], [20]);
      assert.deepEqual(await desk.standing(tokens), { used: 20, reserved: 0, roomIn: 0, resetsIn: 1 });
      await desk.time(NOON + 63 * SECOND);
      await desk.settle(tickets[1], [20]);
      assert.deepEqual(await desk.standing(more), { used: 0, reserved: 0, roomIn: 0, resetsIn: 0 });
    });

    it('settles once what is settled twice', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const demands = [
        [limit('tokens/minute', 100), 20],
        [limit('concurrent', 5), 1],
      ] as const;
      const ticket = await desk.take(...demands);
      await desk.take(...demands);
      await desk.settle(ticket, [10, 0]);
      await desk.settle(ticket, [10, 0]);
      await desk.settle({ ...ticket }, [10, 0]);
      assert.deepEqual(await desk.taken(demands[0][0]), [10, 20]);
      assert.deepEqual(await desk.taken(demands[1][0]), [0, 1]);
    });

    it('settles twice in one go only once', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 100);
      const ticket = await desk.take([tokens, 20]);
      await desk.take([tokens, 20]);
      for (let i = 0; i < 3; i++) desk.store.settle({ ticket, used: [10], ledger: [] });
      await desk.store.flush(null);
      assert.deepEqual(await desk.taken(tokens), [10, 20]);
    });

    it('settles many at once', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const demands = [
        [limit('tokens/minute', 10_000), 20],
        [limit('concurrent', 100), 1],
      ] as const;
      const tickets = await Promise.all(Array.from({ length: 100 }, () => desk.take(...demands)));
      for (const [i, ticket] of tickets.entries()) {
        if (i < 90) desk.store.settle({ ticket, used: [i, 0], ledger: [] });
      }
      await desk.store.flush('acme');
      assert.deepEqual(await desk.taken(demands[0][0]), [(89 * 90) / 2, 200]);
      assert.deepEqual(await desk.taken(demands[1][0]), [0, 10]);
    });

    it('books all of what was let in without it, and gives nothing back for that', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const limits = ['requests/minute', 'tokens/minute', 'usd/month', 'concurrent'].map((what) =>
        limit(what, 100),
      );
      await desk.take(...limits.map((of) => [of, 1] as const));
      const ticket: Ticket = {
        tenant: 'acme',
        id: newId(),
        at: NOON,
        demands: limits.map((of) => ({ limit: of, amount: of.of === 'tokens' ? 50 : 1 })),
        held: false,
      };
      await desk.time(NOON + 10 * SECOND);
      await desk.settle(ticket, [0, 200, 30, 0]);
      assert.deepEqual(await Promise.all(limits.map((of) => desk.taken(of))), [
        [2, 0],
        [200, 1],
        [30, 1],
        [0, 1],
      ]);
      await desk.time(NOON + 63 * SECOND);
      assert.deepEqual(await Promise.all(limits.map((of) => desk.taken(of))), [
        [0, 0],
        [0, 0],
        [30, 1],
        [0, 1],
      ]);
    });
  });
}
