import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import { dayOf, type LedgerEntry } from '../../src/quota/ledger.ts';
import type { Verdict } from '../../src/quota/store.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { deskOf, type Gateway, lifetimes, openGateway, openRig } from './redis-rig.ts';
import { storeSuite } from './store-suite.ts';
import { limit, newId } from './suite/kit.ts';

const cluster = await startRedisCluster({ after });
const settings = { kind: 'cluster', urls: cluster.urls } as const;

/** Those that lead now. */
async function masters(): Promise<RedisServer[]> {
  const found: RedisServer[] = [];
  for (const node of cluster.nodes) {
    if (/role:master/.test(String(await node.call('INFO', 'replication')))) found.push(node);
  }
  return found;
}

storeSuite('the store in a Redis Cluster', async (t) => openRig(t, await masters(), settings), true);

const requests = limit('requests/month', 1e9);
const tokens = limit('tokens/month', 1e12);
const concurrent = limit('concurrent', 1e6);

function entry(input: number): LedgerEntry {
  const sums = { requests: 1, tries: 1, input, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
  return { key: 'ci', model: 'm', target: 'a/b', sums: { ...sums, cost: 3, unpriced: 0 } };
}

/**
 * Traffic of some gateways, until `stop`: requests that are admitted, or let in where the store is away, last a moment and are settled.
 * Resolves to what should then be found in the store.
 */
function traffic(gateways: readonly Gateway[], tenants: readonly string[]) {
  const expected = new Map(tenants.map((tenant) => [tenant, { requests: 0, tokens: 0 }]));
  const seen = { admitted: 0, unavailable: 0 };
  let stopped = false;
  const worker = async ({ store }: Gateway, number: number) => {
    for (let i = number; !stopped; i++) {
      const tenant = tenants[i % tenants.length] ?? '';
      const demands = [requests, tokens, concurrent].map((of) => ({
        limit: of,
        amount: of === tokens ? 50 : 1,
      }));
      const id = newId();
      let verdict: Verdict | null = null;
      try {
        verdict = await store.admit({ tenant, id, demands });
      } catch (error) {
        assert.ok(error instanceof StateUnavailable, String(error));
        seen.unavailable += 1;
        // Otherwise as fast as this process can.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.notEqual(verdict?.kind, 'refused');
      const ticket =
        verdict?.kind === 'admitted' ? verdict.ticket : { tenant, id, at: Date.now(), demands, held: false };
      if (ticket.held) seen.admitted += 1;
      await new Promise(setImmediate);
      const used = i % 97;
      store.settle({ ticket, used: [0, used, 0], ledger: [entry(used)] });
      const sums = expected.get(tenant);
      if (sums === undefined) continue;
      sums.requests += 1;
      sums.tokens += used;
    }
  };
  const workers = gateways.flatMap((gateway, i) => [0, 1, 2, 3].map((j) => worker(gateway, 7 * i + j)));
  return async () => {
    stopped = true;
    await Promise.all(workers);
    return { expected, seen };
  };
}

type Books = Awaited<ReturnType<ReturnType<typeof traffic>>>;

/** Every counter says what was settled, and nothing else. */
async function agree(gateways: readonly Gateway[], { expected, seen }: Books): Promise<void> {
  const [gateway] = gateways;
  assert.ok(gateway);
  // For what nobody knows the end of: it is undone when it can no longer happen.
  const deadline = performance.now() + 15_000;
  for (const [tenant, sums] of expected) {
    const wanted = [sums.requests, 0, sums.tokens, 0, 0, 0];
    for (;;) {
      for (const { store } of gateways) await store.flush(tenant);
      // Where it has not noticed yet that another one leads: none.
      const asked = gateway.store.standings(tenant, [requests, tokens, concurrent]);
      const found = (await asked.catch(() => [])).flatMap(({ used, reserved }) => [used, reserved]);
      if (`${found}` === `${wanted}`) break;
      if (performance.now() > deadline) assert.deepEqual(found, wanted, tenant);
      await pause(50);
    }
  }
  assert.ok(seen.admitted > 100, `${seen.admitted}`);
}

/** And so does the ledger. */
async function ledgerAgrees([gateway]: readonly Gateway[], { expected }: Books): Promise<void> {
  for (const [tenant, sums] of expected) {
    const rows = await gateway?.store.ledger([dayOf(Date.now())], tenant);
    assert.deepEqual(
      rows?.map((row) => [row.sums.requests, row.sums.input, row.sums.cost]),
      [[sums.requests, sums.tokens, 3 * sums.requests]],
    );
  }
}

let runs = 0;

async function start(t: TestContext) {
  runs += 1;
  const tenants = ['a', 'b', 'c', 'd'].map((name) => `run${runs}-${name}`);
  const options = { commandTimeout: 200 };
  const one = () => openGateway(t, settings, options);
  const gateways = [await one(), await one(), await one()] as const;
  // Until it is under way everywhere.
  const stop = traffic(gateways, tenants);
  t.after(async () => void (await stop()));
  await pause(200);
  const slot = await cluster.slotOf(`spillway:{${tenants[0]}}:q`);
  return { tenants, gateways, stop, slot };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

describe('a Redis Cluster', () => {
  it('has all keys of a tenant in one slot', async (t) => {
    const gateway = await openGateway(t, settings);
    const desk = deskOf(gateway, 'slots');
    await desk.settle(await desk.take([tokens, 1], [concurrent, 1]), [1, 0], [entry(1)]);
    await desk.take([concurrent, 1]);
    const keys = [...(await lifetimes(await masters())).keys()].filter((key) => key.includes('{slots}'));
    assert.equal(keys.length, 4, keys.join(' '));
    const slots = await Promise.all(keys.map((key) => cluster.slotOf(key)));
    assert.deepEqual(new Set(slots).size, 1);
  });

  it('agrees in the end though a slot moved to another node and back under traffic', async (t) => {
    const { gateways, stop, slot } = await start(t);
    const home = await cluster.owner(slot);
    const other = await cluster.another(home);
    await cluster.migrateSlot(slot, other, () => pause(30));
    await pause(200);
    await cluster.migrateSlot(slot, home, () => pause(30));
    await pause(200);
    const books = await stop();
    await agree(gateways, books);
    await ledgerAgrees(gateways, books);
  });

  it('agrees in the end though a replica took over under traffic', async (t) => {
    const { gateways, stop, slot } = await start(t);
    const before = await cluster.owner(slot);
    const now = await cluster.failOver(before);
    assert.equal(await cluster.owner(slot), now);
    await pause(300);
    const books = await stop();
    await agree(gateways, books);
    await ledgerAgrees(gateways, books);
  });

  it('agrees in the end though a master died whose replica had heard all', async (t) => {
    const { gateways, stop, slot, tenants } = await start(t);
    const [first] = tenants;
    const books = await stop();
    await agree(gateways, books);
    const desk = deskOf(gateways[0], first);
    const tickets = await Promise.all(
      Array.from({ length: 20 }, () => desk.take([requests, 1], [tokens, 50], [concurrent, 1])),
    );
    const master = await cluster.owner(slot);
    // It is the writes of this very connection, and so all before them, that are waited for.
    await master.call('SET', `{${first}}:mark`, '1', 'PX', 60_000);
    assert.equal(await master.call('WAIT', 1, 5_000), 1);
    const dead = cluster.killMaster(master);
    t.after(async () => {
      await master.start();
      await cluster.ok();
    });
    for (const ticket of tickets) desk.store.settle({ ticket, used: [0, 10, 0], ledger: [entry(10)] });
    await dead;
    const sums = books.expected.get(desk.tenant);
    assert.ok(sums);
    sums.requests += 20;
    sums.tokens += 200;
    await agree(gateways, books);
    await ledgerAgrees(gateways, books);
  });

  it('gives back what a gateway held that died while a slot moved', async (t) => {
    const { gateways, stop, slot, tenants } = await start(t);
    const [first] = tenants;
    const dying = await openGateway(t, settings, { commandTimeout: 200 });
    const left = await deskOf(dying, first).take([requests, 1], [tokens, 5_000], [concurrent, 1]);
    await dying.die();
    const home = await cluster.owner(slot);
    const lease = `spillway:{${first}}:g`;
    // As if 30 s had passed.
    await home.call('ZADD', lease, 1, dying.id);
    await cluster.migrateSlot(slot, await cluster.another(home), () => pause(30));
    await pause(100);
    const books = await stop();
    const ofTenant = books.expected.get(left.tenant);
    assert.ok(ofTenant);
    ofTenant.requests += 1;
    const now = await cluster.owner(slot);
    // Where its records were still on their way, it was put off.
    if ((await now.call('ZSCORE', lease, dying.id)) !== null) await now.call('ZADD', lease, 1, dying.id);
    // In no ledger, since nobody settled it.
    await agree(gateways, books);
  });
});
