import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Limit } from '../../../src/quota/limits.ts';
import { Desk, limit, MINUTE, NOON, newId, type OpenRig, SECOND } from './kit.ts';

export function admissionSuite(open: OpenRig): void {
  describe('admission', () => {
    it('admits up to the limit and nothing beyond it', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const requests = limit('requests/minute', 3);
      for (let i = 0; i < 3; i++) await desk.take([requests, 1]);
      await desk.refused([requests, 1]);
      assert.deepEqual(await desk.taken(requests), [3, 0]);
    });

    it('admits an amount that is the limit itself, and refuses one more than that', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      await desk.refused([limit('tokens/hour', 100), 101]);
      await desk.take([limit('tokens/hour', 100), 100]);
      await desk.take([limit('tokens/day', 100), 60]);
      await desk.refused([limit('tokens/day', 100), 41]);
      await desk.take([limit('tokens/day', 100), 40]);
    });

    it('answers with the standings after it, in the order of the demands', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const [requests, tokens, concurrent] = [
        limit('requests/minute', 9),
        limit('tokens/hour', 900),
        limit('concurrent', 4),
      ];
      await desk.take([requests, 1], [tokens, 100], [concurrent, 1]);
      const verdict = await desk.ask([
        [tokens, 200],
        [concurrent, 1],
        [requests, 1],
      ]);
      assert.deepEqual(verdict.standings, [
        { used: 0, reserved: 300, roomIn: 0, resetsIn: 63 * MINUTE },
        { used: 0, reserved: 2, roomIn: 0, resetsIn: null },
        { used: 2, reserved: 0, roomIn: 0, resetsIn: 63 * SECOND },
      ]);
    });

    it('gives a ticket that says what was admitted, and when', async (t) => {
      const desk = await Desk.at(NOON + 12_345, open, t);
      const demands = [{ limit: limit('tokens/minute', 10), amount: 7 }];
      const id = newId();
      const verdict = await desk.store.admit({ tenant: 'acme', id, demands });
      assert.ok(verdict.kind === 'admitted');
      assert.partialDeepStrictEqual(verdict.ticket, {
        tenant: 'acme',
        id,
        at: NOON + 12_345,
        demands,
        held: true,
      });
    });

    it('takes nothing of any limit when one has no room', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const roomy = [limit('requests/minute', 9), limit('tokens/hour', 900), limit('concurrent', 9)] as const;
      const full = limit('usd/month', 50);
      await desk.take([roomy[0], 1], [full, 50]);
      for (const place of [0, 1, 2, 3]) {
        const demands = roomy.map((of): [Limit, number] => [of, 1]);
        await desk.refused(...demands.toSpliced(place, 0, [full, 1]));
      }
      const standings = await desk.store.standings('acme', [...roomy, full]);
      assert.deepEqual(
        standings.map(({ used, reserved }) => [used, reserved]),
        [
          [1, 0],
          [0, 0],
          [0, 0],
          [0, 50],
        ],
      );
    });

    it('admits what demands nothing, and what demands nothing of a limit', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const verdict = await desk.ask([]);
      assert.equal(verdict.kind, 'admitted');
      assert.deepEqual(verdict.standings, []);
      const none = limit('tokens/minute', 0);
      const ticket = await desk.take([none, 0]);
      assert.deepEqual(await desk.standing(none), { used: 0, reserved: 0, roomIn: 0, resetsIn: 0 });
      await desk.settle(ticket, [0]);
      await desk.refused([none, 1]);
      const tokens = limit('tokens/hour', 5);
      await desk.take([tokens, 5]);
      await desk.take([tokens, 0]);
      assert.deepEqual(await desk.taken(tokens), [0, 5]);
    });

    it('refuses even an amount of 0 where more than the limit is taken', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = limit('tokens/hour', 5);
      await desk.settle(await desk.take([tokens, 5]), [6]);
      const [standing] = await desk.refused([tokens, 0]);
      assert.equal(standing?.roomIn, 63 * MINUTE);
    });

    it('admits exactly the limit of many that ask at the same time', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const [requests, tokens] = [limit('requests/minute', 50), limit('tokens/minute', 10_000)];
      const verdicts = await Promise.all(
        Array.from({ length: 200 }, () =>
          desk.ask([
            [tokens, 10],
            [requests, 1],
          ]),
        ),
      );
      assert.equal(verdicts.filter(({ kind }) => kind === 'admitted').length, 50);
      assert.deepEqual(await desk.taken(requests), [50, 0]);
      assert.deepEqual(await desk.taken(tokens), [0, 500]);
    });

    it('goes by the limit as it is handed in each time', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const tokens = (max: number) => limit('tokens/hour', max);
      await desk.take([tokens(10), 10]);
      await desk.refused([tokens(10), 1]);
      await desk.take([tokens(15), 5]);
      await desk.refused([tokens(15), 1]);
      await desk.refused([tokens(8), 1]);
      assert.deepEqual(await desk.taken(tokens(1)), [0, 15]);
      await desk.take([tokens(16), 1]);
    });

    it('keeps limits apart by their ids and tenants', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const kinds = ['tokens/minute', 'tokens/hour', 'input_tokens/minute', 'output_tokens/minute'];
      const limits = [
        ...kinds.map((kind) => limit(kind, 100)),
        limit('tokens/minute', 100, ['smart']),
        limit('tokens/minute', 100, ['smart', 'a|b "c" d/e', 'größe→']),
        { ...limit('tokens/minute', 100), id: 'key.ci/tokens/minute', scope: 'key' as const },
      ];
      for (const [i, of] of limits.entries()) await desk.take([of, i + 1]);
      for (const [i, of] of limits.entries()) assert.deepEqual(await desk.taken(of), [0, i + 1], of.id);
      for (const of of limits) assert.deepEqual(await desk.of('acme2').taken(of), [0, 0]);
      await desk.of('acme2').take([limit('tokens/minute', 100), 100]);
    });

    it('holds twenty limits at once', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const limits = Array.from({ length: 20 }, (_, i) => limit('tokens/day', 100, [`m${i}`]));
      const demands = limits.map((of, i): [Limit, number] => [of, i]);
      const ticket = await desk.take(...demands);
      await desk.refused(...demands.with(17, [limits[17] as Limit, 84]));
      await desk.settle(
        ticket,
        limits.map((_, i) => 2 * i),
      );
      const standings = await desk.store.standings('acme', limits);
      assert.deepEqual(
        standings.map(({ used, reserved }) => [used, reserved]),
        limits.map((_, i) => [2 * i, 0]),
      );
    });

    it('counts to the unit what is as large as numbers get', async (t) => {
      const desk = await Desk.at(NOON, open, t);
      const usd = limit('usd/month', 9e15);
      const ticket = await desk.take([usd, 9e15 - 1]);
      await desk.refused([usd, 2]);
      await desk.refused([usd, 9e15]);
      await desk.take([usd, 1]);
      assert.deepEqual(await desk.taken(usd), [0, 9e15]);
      await desk.settle(ticket, [8_999_999_999_999_998]);
      assert.deepEqual(await desk.taken(usd), [8_999_999_999_999_998, 1]);
      await desk.refused([usd, 2]);
      await desk.take([usd, 1]);
    });
  });
}
