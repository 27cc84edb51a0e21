import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import { dayOf } from '../../src/quota/ledger.ts';
import type { Limit } from '../../src/quota/limits.ts';
import type { Ticket } from '../../src/quota/store.ts';
import { startRedis } from '../support/redis.ts';
import { type Gateway, openGateway } from './redis-rig.ts';
import { limit, newId } from './suite/kit.ts';

const redis = await startRedis({ after });

interface Race {
  gateways: readonly [Gateway, Gateway, Gateway];
  tenant: string;
}

let races = 0;

/** Three gateways, each with a connection of its own, and a tenant that nobody has asked for yet. */
async function three(t: TestContext): Promise<Race> {
  races += 1;
  const [one, two, three] = [openGateway(t, redis.url), openGateway(t, redis.url), openGateway(t, redis.url)];
  return { gateways: await Promise.all([one, two, three]), tenant: `race${races}` };
}

function byTurns({ gateways }: Race, i: number): Gateway {
  return gateways[i % 3] ?? gateways[0];
}

type Demands = readonly (readonly [Limit, number])[];

/** As many admissions as that, all at once, by turns. */
async function race(
  { gateways, tenant }: Race,
  count: number,
  demandsOf: (i: number) => Demands,
): Promise<(Ticket | null)[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const demands = demandsOf(i).map(([of, amount]) => ({ limit: of, amount }));
      const { store } = byTurns({ gateways, tenant }, i);
      const verdict = await store.admit({ tenant, id: newId(), demands });
      return verdict.kind === 'admitted' ? verdict.ticket : null;
    }),
  );
}

function count(tickets: readonly (Ticket | null)[]): number {
  return tickets.filter((ticket) => ticket !== null).length;
}

describe('three gateways that race', () => {
  it('admit 100 of 600 requests where 100 are allowed', async (t) => {
    const all = await three(t);
    const requests = limit('requests/hour', 100);
    assert.equal(count(await race(all, 600, () => [[requests, 1]])), 100);
    for (const { store } of all.gateways) {
      const [standing] = await store.standings(all.tenant, [requests]);
      assert.equal(standing?.used, 100);
    }
  });

  it('hand out all tokens and none twice', async (t) => {
    const all = await three(t);
    const tokens = limit('tokens/hour', 10_000);
    // Amounts that do not go into it evenly: the smallest fit last.
    const tickets = await race(all, 600, (i) => [[tokens, [97, 41, 13][i % 3] as number]]);
    const taken = tickets.reduce((sum, ticket) => sum + (ticket?.demands[0]?.amount ?? 0), 0);
    assert.ok(taken <= 10_000 && taken > 10_000 - 13, `${taken}`);
    const [standing] = await all.gateways[0].store.standings(all.tenant, [tokens]);
    assert.equal(standing?.reserved, taken);
  });

  it('keep a key’s limit under its tenant’s, and charge a refused request to neither', async (t) => {
    const all = await three(t);
    const ofTenant = limit('requests/day', 100);
    const ofKey: Limit = { ...limit('requests/day', 30), id: 'key.ci/requests/day', scope: 'key' };
    const tickets = await race(all, 600, (i) =>
      i % 2 === 0
        ? [[ofTenant, 1]]
        : [
            [ofTenant, 1],
            [ofKey, 1],
          ],
    );
    assert.equal(count(tickets), 100);
    const [tenant, key] = await all.gateways[0].store.standings(all.tenant, [ofTenant, ofKey]);
    assert.equal(tenant?.used, 100);
    assert.equal(key?.used, tickets.filter((ticket) => ticket?.demands.length === 2).length);
    assert.ok(key.used <= 30);
  });

  it('never have more under way than may be at a time, and admit again what was given back', async (t) => {
    const all = await three(t);
    const concurrent = limit('concurrent', 7);
    let [most, now, done] = [0, 0, 0];
    const one = async (gateway: Gateway) => {
      for (let i = 0; i < 50; i++) {
        const demands = [{ limit: concurrent, amount: 1 }];
        const verdict = await gateway.store.admit({ tenant: all.tenant, id: newId(), demands });
        if (verdict.kind === 'refused') continue;
        most = Math.max(most, ++now);
        await gateway.client.command('EXISTS', 'nothing');
        now -= 1;
        done += 1;
        gateway.store.settle({ ticket: verdict.ticket, used: [0], ledger: [] });
      }
    };
    await Promise.all(all.gateways.flatMap((gateway) => Array.from({ length: 5 }, () => one(gateway))));
    assert.ok(most <= 7, `${most}`);
    assert.ok(done > 50, `${done}`);
    for (const { store } of all.gateways) await store.flush(all.tenant);
    const [standing] = await all.gateways[0].store.standings(all.tenant, [concurrent]);
    assert.deepEqual(standing, { used: 0, reserved: 0, roomIn: 0, resetsIn: null });
  });

  it('settle to the token what they used, in whatever order', async (t) => {
    const all = await three(t);
    const [tokens, usd] = [limit('tokens/day', 1e9), limit('usd/month', 1e15)];
    const tickets = await race(all, 600, () => [
      [tokens, 1000],
      [usd, 1_000_000],
    ]);
    let [ofTokens, ofUsd] = [0, 0];
    for (const [i, ticket] of tickets.entries()) {
      assert.ok(ticket);
      const used = [(i * 7919) % 1500, (i * 104_729) % 2_000_000] as const;
      ofTokens += used[0];
      ofUsd += used[1];
      const sums = {
        requests: 1,
        tries: 1,
        input: used[0],
        output: 0,
        cached: 0,
        cacheWrite: 0,
        reasoning: 0,
      };
      const entry = { key: 'ci', model: 'm', target: 'a/b', sums: { ...sums, cost: used[1], unpriced: 0 } };
      byTurns(all, i).store.settle({ ticket, used, ledger: [entry] });
      if (i % 50 === 0) await new Promise(setImmediate);
    }
    for (const { store } of all.gateways) await store.flush(all.tenant);
    const standings = await all.gateways[0].store.standings(all.tenant, [tokens, usd]);
    assert.deepEqual(
      standings.map(({ used, reserved }) => [used, reserved]),
      [
        [ofTokens, 0],
        [ofUsd, 0],
      ],
    );
    const day = dayOf(tickets[0]?.at ?? 0);
    const rows = await all.gateways[1].store.ledger([day], all.tenant);
    assert.deepEqual(
      rows.map(({ sums }) => [sums.requests, sums.input, sums.cost]),
      [[600, ofTokens, ofUsd]],
    );
  });
});
