import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Desk, limit, NOON, type OpenRig, SECOND } from './kit.ts';

/** Beyond the contract of `QuotaStore`: for stores whose answers may get lost, so that they are asked again. */
export function repeatedSuite(open: OpenRig): void {
  describe('admission that is asked for again', () => {
    it('takes once what is asked twice by the same id', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const demands = [
        [limit('requests/minute', 5), 1],
        [limit('tokens/minute', 10), 10],
        [limit('concurrent', 1), 1],
      ] as const;
      const first = await desk.ask(demands, 'request-twice');
      assert.equal(first.kind, 'admitted');
      assert.deepEqual(await desk.ask(demands, 'request-twice'), first);
      assert.deepEqual(await desk.taken(demands[0][0]), [1, 0]);
      assert.deepEqual(await desk.taken(demands[1][0]), [0, 10]);
      assert.deepEqual(await desk.taken(demands[2][0]), [0, 1]);
    });

    it('stays with when it first admitted an id, however late that is asked again', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/minute', 10);
      await desk.ask([[tokens, 10]], 'request-late');
      await desk.time(NOON + 30 * SECOND);
      const again = await desk.ask([[tokens, 10]], 'request-late');
      assert.ok(again.kind === 'admitted');
      assert.equal(again.ticket.at, NOON);
      assert.equal(again.standings[0]?.resetsIn, 33 * SECOND);
      await desk.settle(again.ticket, [4]);
      assert.deepEqual(await desk.taken(tokens), [4, 0]);
      await desk.time(NOON + 63 * SECOND);
      assert.deepEqual(await desk.taken(tokens), [0, 0]);
    });

    it('looks afresh at an id that it refused', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const concurrent = limit('concurrent', 1);
      const other = await desk.take([concurrent, 1]);
      assert.equal((await desk.ask([[concurrent, 1]], 'request-refused')).kind, 'refused');
      await desk.settle(other);
      assert.equal((await desk.ask([[concurrent, 1]], 'request-refused')).kind, 'admitted');
      assert.deepEqual(await desk.taken(concurrent), [0, 1]);
    });
  });
}
