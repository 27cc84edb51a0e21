import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiError } from '../../src/core/errors.ts';
import { Estimator } from '../../src/pipeline/estimate.ts';
import { headerIn } from '../../src/pipeline/header-list.ts';
import { Spending } from '../../src/pipeline/spending.ts';
import { NO_PRICES } from '../../src/pricing/prices.ts';
import { Limits } from '../../src/quota/limits.ts';
import { MemoryStore } from '../../src/quota/memory-store.ts';
import type { QuotaStore } from '../../src/quota/store.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';

const NOON = Date.UTC(2026, 10, 22, 12);

/** A request of a tenant that may make so many a minute. */
function setUp(limit: number, change: (store: QuotaStore) => Partial<QuotaStore> = () => ({})) {
  const quotas = [{ limit, of: 'requests' as const, per: 'minute' as const, models: null }];
  const tenant = { id: 'acme', tier: null, models: null, keys: [], quotas };
  const memory = new MemoryStore({ wall: () => NOON, ledgerDays: 1 });
  const store: QuotaStore = {
    admit: (admission) => memory.admit(admission),
    settle: (settlement) => memory.settle(settlement),
    standings: (of, limits) => memory.standings(of, limits),
    ledger: (days, of) => memory.ledger(days, of),
    flush: () => memory.flush(),
    close: () => memory.close(),
  };
  const refused: string[] = [];
  return {
    memory,
    refused,
    spending: new Spending(
      {
        principal: { tenant, key: 'ci', limits: new Limits(quotas, null) },
        model: { name: 'smart', label: 'smart', direct: false, prices: [], overrides: [{}] },
        asked: 'smart',
        dialect: 'chat',
        body: { model: 'smart', messages: [{ role: 'user', content: 'Hello' }] },
      },
      { prices: NO_PRICES, outputTokens: 100 },
      {
        store: { ...store, ...change(store) },
        estimator: new Estimator(),
        wall: () => NOON,
        refused: (who, { id }) => refused.push(`${who} ${id}`),
      },
    ),
  };
}

/** A store that has to be waited for. */
function asking({ admit }: QuotaStore): Partial<QuotaStore> {
  return { admit: async (admission) => admit(admission) };
}

/** As its headers say it; null: they say nothing. */
function remaining(spending: Spending): string | null {
  const headers: string[] = [];
  spending.writeHeaders(headers, 'unknown');
  return headerIn(headers, 'x-ratelimit-remaining-requests');
}

const isRefusal = (error: unknown): error is ApiError =>
  error instanceof ApiError && error.code === 'rate_limit_exceeded';

describe('reserving what a request may take', () => {
  it('waits for nobody where the store answers at once', () => {
    const { spending } = setUp(5);
    assert.equal(remaining(spending), null);
    assert.equal(spending.reserve('one'), undefined);
    assert.equal(remaining(spending), '4');
  });

  it('waits for a store that has to be asked', async () => {
    const { spending } = setUp(5, asking);
    const reserving = spending.reserve('one');
    assert.equal(remaining(spending), null);
    await reserving;
    assert.equal(remaining(spending), '4');
  });

  it('throws a refusal at once where the store answers at once, and counts it', () => {
    const { spending, refused } = setUp(0);
    assert.throws(() => spending.reserve('one'), isRefusal);
    assert.equal(spending.refusedBy, 'tenant/requests/minute');
    assert.deepEqual(refused, ['acme tenant/requests/minute']);
    assert.equal(remaining(spending), null);
  });

  it('rejects with a refusal of a store that had to be asked, and counts it', async () => {
    const { spending, refused } = setUp(0, asking);
    await assert.rejects(spending.reserve('one') ?? Promise.resolve(), isRefusal);
    assert.equal(spending.refusedBy, 'tenant/requests/minute');
    assert.deepEqual(refused, ['acme tenant/requests/minute']);
  });

  it('rejects with an error for clients where the store is away, and with any other as it is', async () => {
    const failing = (error: Error) => {
      const { spending } = setUp(5, () => ({ admit: () => Promise.reject(error) }));
      return spending.reserve('one') ?? Promise.resolve();
    };
    await assert.rejects(failing(new StateUnavailable('away')), (error) => {
      return error instanceof ApiError && error.code === 'state_unavailable';
    });
    await assert.rejects(failing(new TypeError('a mistake')), TypeError);
  });

  it('is settled once, however often that is asked for', async () => {
    const { spending, memory } = setUp(5);
    spending.reserve('one');
    for (let i = 0; i < 2; i++) spending.settle(null, null, []);
    const [row, ...more] = await memory.ledger(['2026-11-22'], 'acme');
    assert.deepEqual([row?.sums.requests, more], [1, []]);
    assert.equal(remaining(spending), null);
  });

  it('writes its headers beside those that are there', () => {
    const { spending } = setUp(5);
    spending.reserve('one');
    const headers = ['x-request-id', 'r'];
    spending.writeHeaders(headers, 'nothing');
    assert.deepEqual(headers, [
      ...['x-request-id', 'r'],
      ...['x-ratelimit-limit-requests', '5'],
      ...['x-ratelimit-remaining-requests', '4'],
      ...['x-ratelimit-reset-requests', '1m3s'],
    ]);
  });
});
