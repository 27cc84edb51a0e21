import assert from 'node:assert/strict';
import { after, beforeEach, describe, it, type TestContext } from 'node:test';
import { dayOf, type LedgerEntry } from '../../src/quota/ledger.ts';
import { startGateway } from '../support/gateway.ts';
import { startRedis, until } from '../support/redis.ts';
import { startUpstream } from '../support/upstream.ts';
import { deskOf, type Gateway, openGateway } from './redis-rig.ts';
import { limit } from './suite/kit.ts';

const redis = await startRedis({ after });
beforeEach(() => redis.call('FLUSHALL'));

const requests = limit('requests/month', 1e9);
const SUMS = { requests: 1, tries: 1, input: 5, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
const ENTRY: LedgerEntry = { key: 'ci', model: 'm', target: 'a/b', sums: { ...SUMS, cost: 3, unpriced: 0 } };

/** One request of a tenant, whole: returns its day. */
async function ask(gateway: Gateway, tenant: string): Promise<string> {
  const desk = deskOf(gateway, tenant);
  const ticket = await desk.take([requests, 1]);
  await desk.settle(ticket, [0], [ENTRY]);
  return dayOf(ticket.at);
}

/** Tenants of the ledger of all, with how many requests. */
async function listed(gateway: Gateway, day: string): Promise<[string, number][]> {
  const rows = await gateway.store.ledger([day], null);
  return rows.map(({ tenant, sums }): [string, number] => [tenant, sums.requests]).sort();
}

async function both(t: TestContext): Promise<[Gateway, Gateway]> {
  return [await openGateway(t, redis.url), await openGateway(t, redis.url)];
}

describe('the list of tenants that have a ledger of a day', () => {
  it('is written again after Redis has lost it, with the first request that comes', async (t) => {
    const [gateway, onlooker] = await both(t);
    const day = await ask(gateway, 'acme');
    await ask(gateway, 'beta');
    assert.deepEqual(await listed(onlooker, day), [
      ['acme', 1],
      ['beta', 1],
    ]);
    await redis.call('FLUSHALL');
    assert.deepEqual(await listed(onlooker, day), []);
    const again = await ask(gateway, 'acme');
    assert.equal(again, day, 'it became midnight meanwhile');
    await until(async () => (await listed(onlooker, day)).length > 0, 'the list to be written again');
    assert.deepEqual(await listed(onlooker, day), [['acme', 1]]);
    await ask(gateway, 'beta');
    await until(async () => (await listed(onlooker, day)).length > 1, 'the list to be written again');
  });

  it('is written again by whichever gateway comes first', async (t) => {
    const [gateway, other] = await both(t);
    await ask(gateway, 'acme');
    await ask(other, 'acme');
    await redis.call('FLUSHALL');
    const day = await ask(other, 'acme');
    await ask(gateway, 'acme');
    await until(async () => (await listed(gateway, day)).length > 0, 'the list to be written again');
    assert.deepEqual(await listed(gateway, day), [['acme', 2]]);
  });

  it('is written no more often than needed', async (t) => {
    const [gateway] = await both(t);
    for (let i = 0; i < 3; i++) await ask(gateway, 'acme');
    await redis.call('CONFIG', 'RESETSTAT');
    for (let i = 0; i < 10; i++) await ask(gateway, 'acme');
    assert.doesNotMatch(String(await redis.call('INFO', 'commandstats')), /cmdstat_sadd/);
  });
});

describe("the operator's usage", () => {
  it('shows a tenant again with its first request after Redis has lost everything', async (t) => {
    const upstream = await startUpstream();
    const gateway = await startGateway({
      auth: 'keys',
      state: { redis: redis.url },
      providers: { a: { adapter: 'vllm', base_url: upstream.url } },
      models: { m: { provider: 'a', model: 'up' } },
      tenants: [{ id: 'acme', keys: [{ id: 'ci', key: 'sw-acme' }] }],
    });
    t.after(async () => {
      await gateway.close();
      await upstream.close();
    });
    const rows = async () => {
      const response = await fetch(`${gateway.admin}/admin/usage`);
      return ((await response.json()) as { rows: { tenant: string; requests: number }[] }).rows;
    };
    const chat = async () => (await gateway.chat({}, { authorization: 'Bearer sw-acme' })).text();
    for (let i = 0; i < 3; i++) {
      await chat();
      await until(async () => (await rows()).length > 0, 'the tenant to be shown');
      assert.deepEqual(
        (await rows()).map(({ tenant, requests }) => [tenant, requests]),
        [['acme', 1]],
      );
      await redis.call('FLUSHALL');
      assert.deepEqual(await rows(), []);
    }
  });
});
