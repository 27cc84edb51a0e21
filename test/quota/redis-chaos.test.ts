import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import fc from 'fast-check';
import { dayOf, type LedgerEntry } from '../../src/quota/ledger.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { type CleansUp, startRedis, until } from '../support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { back, type Gateway, openGateway } from './redis-rig.ts';
import { limit, newId } from './suite/kit.ts';

const redis = await startRedis({ after });

const TIMEOUT = 60;
const TENANTS = ['a', 'b'];

const requests = limit('requests/month', 1e9);
const tokens = limit('tokens/month', 1e12);
const concurrent = limit('concurrent', 12);

interface Sums {
  requests: number;
  tokens: number;
}

/** What goes wrong, and for how long in milliseconds. */
type Trouble = { gateway: number; ms: number } & (
  | { is: 'cut' | 'no answers' | 'nothing arrives' | 'held up' | 'slow' | 'refused' }
  | { is: 'frozen' }
);

const trouble: fc.Arbitrary<Trouble> = fc.record({
  is: fc.constantFrom('cut', 'no answers', 'nothing arrives', 'held up', 'slow', 'refused', 'frozen'),
  gateway: fc.nat(2),
  ms: fc.integer({ min: 5, max: 3 * TIMEOUT }),
});

interface Site {
  gateway: Gateway;
  proxy: TcpProxy;
}

async function open(t: CleansUp): Promise<Site> {
  const proxy = await startTcpProxy(t, redis.port);
  return { proxy, gateway: await openGateway(t, proxy.url, { commandTimeout: TIMEOUT }) };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

async function suffer({ is, ms }: Trouble, { proxy }: Site): Promise<void> {
  switch (is) {
    case 'cut':
      return proxy.cut();
    case 'frozen':
      redis.freeze();
      await pause(ms);
      return redis.thaw();
    case 'refused':
      proxy.refuses = true;
      proxy.cut();
      await pause(ms);
      proxy.refuses = false;
      return;
    case 'held up':
      proxy.toClient.hold();
      await pause(ms);
      return proxy.toClient.release();
    case 'slow':
      proxy.toServer.delay = TIMEOUT / 2;
      proxy.toClient.delay = TIMEOUT;
      await pause(ms);
      proxy.toServer.delay = proxy.toClient.delay = 0;
      return;
    default: {
      const way = is === 'no answers' ? proxy.toClient : proxy.toServer;
      way.swallow = true;
      await pause(ms);
      // A connection that lost something in the middle is of no use.
      proxy.cut();
      way.swallow = false;
    }
  }
}

function entry(input: number): LedgerEntry {
  const sums = { requests: 1, tries: 1, input, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
  return { key: 'ci', model: 'm', target: 'a/b', sums: { ...sums, cost: 3, unpriced: 0 } };
}

/** Requests one after the other, until told to stop: some are let in where Redis is away. */
async function work({ store }: Gateway, tenant: string, sums: Sums, goesOn: () => boolean): Promise<number> {
  const demands = [requests, tokens, concurrent].map((of) => ({ limit: of, amount: of === tokens ? 50 : 1 }));
  let undecided = 0;
  for (let i = 0; goesOn(); i++) {
    const id = newId();
    const verdict = await store.admit({ tenant, id, demands }).catch((error: unknown) => {
      assert.ok(error instanceof StateUnavailable, String(error));
      return null;
    });
    await pause(1);
    if (verdict === null) undecided += 1;
    if (verdict?.kind === 'refused' || (verdict === null && i % 2 === 0)) continue;
    const ticket = verdict?.ticket ?? { tenant, id, at: Date.now(), demands, held: false };
    const used = (i * 31) % 101;
    store.settle({ ticket, used: [0, used, 0], ledger: [entry(used)] });
    sums.requests += 1;
    sums.tokens += used;
  }
  return undecided;
}

/** All of three gateways' requests while one trouble follows another: what should then be in the books, by tenant. */
async function troubled(t: CleansUp, troubles: readonly Trouble[]) {
  const sites = [await open(t), await open(t), await open(t)];
  const books = new Map(TENANTS.map((tenant) => [tenant, { requests: 0, tokens: 0 }]));
  let stopped = false;
  t.after(async () => {
    stopped = true;
  });
  const workers = sites.flatMap(({ gateway }) =>
    [...books].flatMap(([tenant, sums]) => [0, 1, 2].map(() => work(gateway, tenant, sums, () => !stopped))),
  );
  for (const one of troubles) {
    await pause(20);
    const site = sites[one.gateway];
    if (site !== undefined) await suffer(one, site);
  }
  stopped = true;
  const undecided = (await Promise.all(workers)).reduce((sum, count) => sum + count, 0);
  for (const { gateway, proxy } of sites) await back(gateway, proxy);
  // After this nothing can happen any more that was not settled, and the next batch undoes what did.
  await pause(3 * TIMEOUT);
  for (const { gateway } of sites) {
    for (const [tenant, sums] of books) {
      const demands = [{ limit: requests, amount: 1 }];
      const ticket = { tenant, id: newId(), at: Date.now(), demands, held: false };
      gateway.store.settle({ ticket, used: [0], ledger: [entry(0)] });
      sums.requests += 1;
    }
    await until(() => gateway.store.flush(null), 'all to be applied');
  }
  return { books, undecided };
}

/** Of requests, tokens and at a time: used and reserved; then the ledger. */
async function found({ store }: Gateway, tenant: string): Promise<unknown[]> {
  const standings = await store.standings(tenant, [requests, tokens, concurrent]);
  const rows = await store.ledger([dayOf(Date.now())], tenant);
  return [
    ...standings.map(({ used, reserved }) => [used, reserved]),
    ...rows.map(({ sums }) => [sums.requests, sums.input, sums.cost]),
  ];
}

async function run(troubles: readonly Trouble[], onlooker: Gateway): Promise<number> {
  await redis.call('FLUSHALL');
  const cleanUps: (() => Promise<void>)[] = [];
  try {
    const { books, undecided } = await troubled({ after: (fn) => void cleanUps.push(fn) }, troubles);
    await until(() => onlooker.client.isUp('{a}'), 'the onlooker to see');
    // A network that held up answers made a gateway take Redis' clock for another: it undoes things some seconds later.
    const deadline = performance.now() + 12_000;
    for (const [tenant, sums] of books) {
      const ledger = [sums.requests, sums.tokens, 3 * sums.requests];
      const wanted = [[sums.requests, 0], [sums.tokens, 0], [0, 0], ledger];
      while (JSON.stringify(await found(onlooker, tenant)) !== JSON.stringify(wanted)) {
        if (performance.now() > deadline) assert.deepEqual(await found(onlooker, tenant), wanted);
        await pause(100);
      }
    }
    return undecided;
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

it('books what was settled once, and nothing else, whatever the network does', async (t) => {
  const onlooker = await openGateway(t, redis.url);
  let undecided = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(trouble, { minLength: 3, maxLength: 8, size: 'max' }), async (troubles) => {
      undecided += await run(troubles, onlooker);
    }),
    { numRuns: 8, endOnFailure: true },
  );
  t.diagnostic(`${undecided} admissions that nobody knew the end of`);
  assert.ok(undecided > 50, `${undecided}`);
});
