import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Book } from '../../src/accounting/book.ts';
import { Metrics } from '../../src/accounting/metrics.ts';
import type { RequestEntry } from '../../src/accounting/request-entry.ts';
import { Limits } from '../../src/quota/limits.ts';
import { ManualClock } from '../support/manual-clock.ts';

const USAGE = { input: 9, output: 12, cached: 0, cacheWrite: 0, reasoning: 0 };

function open() {
  const metrics = new Metrics({
    inFlight: () => 0,
    breakers: () => [],
    stateStoreUp: () => true,
    waiting: () => 0,
    connections: () => [],
    bodyBytes: () => 0,
    answerBytes: () => 0,
  });
  const book = new Book(metrics, new ManualClock(), { line: () => {}, writes: () => false });
  const tenants = new Set(['acme', 'beta']);
  const close = (tenant: string | null, changes: Partial<RequestEntry> = {}) =>
    book.close({
      id: 'an-id',
      principal:
        tenant === null
          ? null
          : {
              tenant: { id: tenant, tier: null, models: null, keys: [], quotas: [] },
              key: 'ci',
              limits: new Limits([], null),
            },
      model: 'm',
      modelLabel: 'm',
      target: 'a/up',
      status: 200,
      outcome: 'ok',
      stream: false,
      tries: [],
      firstTokenMs: null,
      waitedMs: 0,
      startedAt: 0,
      spent: { usage: USAGE, estimated: false, cost: 100_000_000 },
      ...changes,
    });
  /** What Prometheus would read: the series of the families that have tenants, by these, and all lines. */
  const scrape = async () => {
    book.forgetTenants((id) => tenants.has(id));
    const lines = (await metrics.registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('spillway_'));
    return { lines, of: (tenant: string) => lines.filter((line) => line.includes(`tenant="${tenant}"`)) };
  };
  return { metrics, book, tenants, close, scrape };
}

describe('the series of a tenant', () => {
  it('are gone at the second scrape after it was deleted, and no others', async () => {
    const { metrics, book, tenants, close, scrape } = open();
    for (const tenant of ['acme', 'beta', null]) close(tenant);
    for (const tenant of ['acme', 'beta']) {
      metrics.quotaRefusals.with({ tenant, quota: 'tenant/requests/day' }).value++;
      book.answerCut(tenant, 'slow');
    }
    const before = await scrape();
    assert.equal(before.of('acme').length, 11);
    tenants.delete('acme');
    assert.deepEqual((await scrape()).lines, before.lines);
    const rest = before.lines.filter((line) => !line.includes('tenant="acme"'));
    assert.equal(before.lines.length - rest.length, 11);
    for (let i = 0; i < 3; i++) assert.deepEqual((await scrape()).lines, rest);
  });

  it('stay where it is there again by then', async () => {
    const { tenants, close, scrape } = open();
    close('acme');
    const { lines } = await scrape();
    tenants.delete('acme');
    await scrape();
    tenants.add('acme');
    for (let i = 0; i < 3; i++) assert.deepEqual((await scrape()).lines, lines);
    tenants.delete('acme');
    assert.deepEqual((await scrape()).lines, lines, 'shown once');
    assert.deepEqual((await scrape()).of('acme'), []);
  });

  it('begin at nought where it is made anew', async () => {
    const { tenants, close, scrape } = open();
    for (let i = 0; i < 3; i++) close('acme');
    tenants.delete('acme');
    await scrape();
    await scrape();
    tenants.add('acme');
    close('acme');
    const lines = (await scrape()).of('acme');
    assert.ok(
      lines.includes('spillway_requests_total{tenant="acme",model="m",status="200"} 1'),
      lines.join(),
    );
    assert.ok(lines.includes('spillway_cost_usd_total{tenant="acme",model="m"} 0.1'));
  });

  it('show once what ended after they were gone', async () => {
    const { tenants, close, scrape } = open();
    close('acme');
    tenants.delete('acme');
    await scrape();
    assert.deepEqual((await scrape()).of('acme'), []);
    close('acme');
    assert.notDeepEqual((await scrape()).of('acme'), []);
    assert.deepEqual((await scrape()).of('acme'), []);
  });

  it('show once an answer that was cut off after they were gone', async () => {
    const { book, tenants, close, scrape } = open();
    close('acme');
    tenants.delete('acme');
    for (let i = 0; i < 2; i++) await scrape();
    book.answerCut('acme', 'slow');
    assert.deepEqual((await scrape()).of('acme'), [
      'spillway_answers_cut_total{tenant="acme",reason="slow"} 1',
    ]);
    assert.deepEqual((await scrape()).of('acme'), []);
  });
});

describe('what caches saved a tenant', () => {
  it('never goes down: what writing cost more is counted by itself', async () => {
    const { close, scrape } = open();
    const spent = (read: number, written: number) =>
      close('acme', {
        spent: {
          usage: { ...USAGE, cacheWrite: 5 },
          estimated: false,
          cost: 1,
          cacheSaved: { read, written },
        },
      });
    const figures = async () => {
      const { lines } = await scrape();
      const of = (name: string) =>
        Number(
          lines
            .find((line) => line.startsWith(`${name}{tenant="acme",model="m"}`))
            ?.split(' ')
            .at(-1),
        );
      return [of('spillway_cache_saved_usd_total'), of('spillway_cache_write_extra_usd_total')];
    };
    close('acme');
    assert.deepEqual(await figures(), [0, 0]);
    spent(0, 750);
    assert.deepEqual(await figures(), [0, 0.00000075]);
    spent(100_000_000, 0);
    spent(200_000_000, 250);
    assert.deepEqual(await figures(), [0.3, 0.000001]);
    spent(-3000, -500_000_000);
    assert.deepEqual(await figures(), [0.8, 0.000004]);
    assert.ok(
      (await scrape()).lines.includes('spillway_tokens_total{tenant="acme",model="m",kind="cache_write"} 20'),
    );
  });
});

describe('the cost of a tenant', () => {
  it('is a sum without the noise of fractions', async () => {
    const { close, scrape } = open();
    for (let i = 1; i <= 30; i++) {
      close('acme');
      const expected = `spillway_cost_usd_total{tenant="acme",model="m"} ${i % 10 === 0 ? i / 10 : (i / 10).toFixed(1)}`;
      assert.ok((await scrape()).lines.includes(expected), expected);
    }
    close('beta', { spent: { usage: USAGE, estimated: false, cost: 1 } });
    close('beta', { spent: { usage: USAGE, estimated: false, cost: 159_000 } });
    assert.ok(
      (await scrape()).lines.includes('spillway_cost_usd_total{tenant="beta",model="m"} 0.000159001'),
    );
  });
});
