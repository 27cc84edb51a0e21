import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Desk, limit, NOON, type OpenRig } from './kit.ts';

/** Two gateways on one state; null, and the test is left out, where there can be but one. */
async function two(open: OpenRig, t: TestContext): Promise<readonly [Desk, Desk] | null> {
  const desk = await Desk.at(NOON, open, t);
  if (desk.rig.another !== null) return [desk, desk.by(await desk.rig.another())];
  t.skip('this store is one process’s own');
  return null;
}

export function gatewaysSuite(open: OpenRig): void {
  describe('several gateways', () => {
    it('see what each other took and settled', async (t) => {
      const desks = await two(open, t);
      if (desks === null) return;
      const [one, other] = desks;
      const demands = [
        [limit('requests/minute', 3), 1],
        [limit('tokens/minute', 100), 60],
        [limit('concurrent', 1), 1],
      ] as const;
      const ticket = await one.take(...demands);
      const [, tokens, concurrent] = await other.refused(...demands);
      assert.deepEqual(tokens, { used: 0, reserved: 60, roomIn: 63_000, resetsIn: 63_000 });
      assert.equal(concurrent?.reserved, 1);
      await one.settle(ticket, [0, 40, 0]);
      await other.take(...demands);
      assert.deepEqual(await one.taken(demands[1][0]), [40, 60]);
      assert.deepEqual(await one.taken(demands[0][0]), [2, 0]);
    });

    it('admit exactly the limit together', async (t) => {
      const desks = await two(open, t);
      if (desks === null) return;
      const [requests, tokens] = [limit('requests/minute', 100), limit('tokens/hour', 730)];
      const kinds = await Promise.all(
        Array.from({ length: 150 }, (_, i) =>
          desks[i % 2 === 0 ? 0 : 1].ask([
            [requests, 1],
            [tokens, 10],
          ]),
        ),
      );
      assert.equal(kinds.filter(({ kind }) => kind === 'admitted').length, 73);
      assert.deepEqual(await desks[0].taken(requests), [73, 0]);
      assert.deepEqual(await desks[1].taken(tokens), [0, 730]);
    });

    it('add up one ledger', async (t) => {
      const desks = await two(open, t);
      if (desks === null) return;
      const sums = { requests: 1, tries: 2, input: 3, output: 4, cached: 0, cacheWrite: 0, reasoning: 0 };
      const entry = { key: 'ci', model: 'm', target: 'a/b', sums: { ...sums, cost: 5, unpriced: 0 } };
      for (const desk of desks) await desk.settle(await desk.take(), [], [entry]);
      const [row, ...rest] = await desks[0].store.ledger(['2026-11-22'], null);
      assert.equal(row?.sums.cost, 10);
      assert.deepEqual(rest, []);
    });

    it('get back what one had reserved that died, but not the count of its requests', async (t) => {
      const desks = await two(open, t);
      if (desks === null) return;
      const [one, other] = desks;
      const { crash, leaseMs } = one.rig;
      if (crash === undefined || leaseMs === undefined) return t.skip('gateways cannot be made to die here');
      const demands = [
        [limit('requests/hour', 100), 1],
        [limit('tokens/hour', 1000), 60],
        [limit('concurrent', 10), 1],
      ] as const;
      const ticket = await one.take(...demands);
      for (let i = 0; i < 5; i++) await other.take(...demands);
      const settled = await other.take(...demands);
      await other.settle(settled, [0, 7, 0]);
      await crash.call(one.rig, other.store);
      assert.deepEqual(await one.taken(demands[1][0]), [7, 360]);
      await one.time(NOON + leaseMs + 1);
      await one.ask(demands, ticket.id);
      assert.deepEqual(await one.taken(demands[0][0]), [7, 0]);
      assert.deepEqual(await one.taken(demands[1][0]), [7, 60]);
      assert.deepEqual(await one.taken(demands[2][0]), [0, 1]);
      await one.settle(ticket, [0, 50, 0]);
      assert.deepEqual(await one.taken(demands[1][0]), [57, 0]);
    });
  });
}
