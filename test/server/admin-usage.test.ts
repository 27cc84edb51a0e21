import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../../src/core/errors.ts';
import { usageReport } from '../../src/pipeline/usage-report.ts';
import { LEDGER_SUMS, type LedgerRow, type LedgerSums } from '../../src/quota/ledger.ts';
import { MemoryStore } from '../../src/quota/memory-store.ts';
import type { QuotaStore } from '../../src/quota/store.ts';
import { adminListener } from '../../src/server/admin.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { refusalOf } from './helpers.ts';

const TODAY = '2026-11-22';
const NOW = Date.parse(`${TODAY}T23:59:59.999Z`);
const FIGURES = [
  'requests',
  'tries',
  'input_tokens',
  'output_tokens',
  'cached_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'cost_usd',
  'unpriced_requests',
];

type Ledger = Pick<QuotaStore, 'flush' | 'ledger'>;

interface Answer {
  from: string;
  to: string;
  by: string[];
  rows: Record<string, string | number>[];
  total: Record<string, number>;
}

/** A ledger of these rows, as a store would answer with them. */
function ledgerOf(rows: readonly LedgerRow[]): Ledger {
  return {
    flush: async () => true,
    ledger: async (days, tenant) =>
      rows.filter((row) => days.includes(row.day) && (tenant === null || row.tenant === tenant)),
  };
}

/** The operators' listener over a ledger; `failures` are mistakes of ours that it reported. */
async function serve(t: TestContext, ledger: Ledger, now = NOW) {
  const failures: unknown[] = [];
  const fastify = adminListener(
    {
      token: () => null,
      metrics: async () => ({ text: '', contentType: 'text/plain' }),
      notReady: () => null,
      upstreams: () => ({ upstreams: [] }),
      tenants: () => {
        throw new Error('nobody asks for tenants here');
      },
      reload: async () => ({ ok: true }),
      failed: (error) => failures.push(error),
      wall: () => now,
      usage: (query) => usageReport(query, ledger),
    },
    () => 'request',
  );
  t.after(() => fastify.close());
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  const { port } = fastify.server.address() as AddressInfo;
  const get = (query: string, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${port}/admin/usage${query}`, { headers });
  const json = async (query: string) => {
    const response = await get(query);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
    return JSON.parse(text) as Answer;
  };
  const csv = async (query: string) => {
    const response = await get(query, { accept: 'text/csv' });
    assert.equal(response.headers.get('content-type'), 'text/csv; charset=utf-8; header=present');
    return await response.text();
  };
  return { get, json, csv, failures };
}

function sumsOf(sums: Partial<LedgerSums> = {}): LedgerSums {
  const none = Object.fromEntries(LEDGER_SUMS.map((name) => [name, 0])) as unknown as LedgerSums;
  return { ...none, ...sums };
}

function row(changes: Partial<Omit<LedgerRow, 'sums'>>, sums: Partial<LedgerSums> = {}): LedgerRow {
  const usual = { day: TODAY, tenant: 'acme', key: 'ci', model: 'smart', target: 'openai/gpt-6-sol' };
  return { ...usual, ...changes, sums: sumsOf({ requests: 1, ...sums }) };
}

const ROWS = [
  row({}, { requests: 3, tries: 4, input: 10, output: 20, cached: 5, cost: 1_200_000 }),
  row({ key: 'web' }, { tries: 1, input: 1, output: 2, cost: 1 }),
  row({ target: 'other/big/with/slashes' }, { tries: 1, reasoning: 7, unpriced: 1 }),
  row({ tenant: 'acme-2', model: 'fast' }, { cacheWrite: 9 }),
  row({ target: '-', key: '-' }, {}),
  row({ day: '2026-11-21', tenant: 'zeta' }, { requests: 100 }),
  row({ day: '2026-11-20' }, { requests: 1000 }),
];

/** Records of RFC 4180, strictly: every one ends in CRLF, quotes are doubled, nothing bare that would have to be quoted. */
function parseCsv(text: string): string[][] {
  const records: string[][] = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex;
    const match = cell.exec(text);
    assert.ok(match !== null, `no cell at ${at}: ${JSON.stringify(text.slice(at, at + 50))}`);
    records.at(-1)?.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '\r\n') records.push([]);
  }
  assert.deepEqual(records.pop(), []);
  return records;
}

describe('the usage that operators read', () => {
  it('is that of today by day, tenant and model unless they say otherwise', async (t) => {
    const { json } = await serve(t, ledgerOf(ROWS));
    const { from, to, by, rows, total } = await json('');
    assert.deepEqual({ from, to, by }, { from: TODAY, to: TODAY, by: ['day', 'tenant', 'model'] });
    assert.deepEqual(rows, [
      {
        day: TODAY,
        tenant: 'acme',
        model: 'smart',
        requests: 6,
        tries: 6,
        input_tokens: 11,
        output_tokens: 22,
        cached_tokens: 5,
        cache_write_tokens: 0,
        reasoning_tokens: 7,
        cost_usd: 0.001200001,
        unpriced_requests: 1,
      },
      {
        day: TODAY,
        tenant: 'acme-2',
        model: 'fast',
        ...Object.fromEntries(FIGURES.map((name) => [name, 0])),
        requests: 1,
        cache_write_tokens: 9,
      },
    ]);
    assert.deepEqual(Object.keys(rows[0] ?? {}), ['day', 'tenant', 'model', ...FIGURES]);
    assert.deepEqual(Object.keys(total), FIGURES);
    assert.equal(total['requests'], 7);
    assert.equal(total['cost_usd'], 0.001200001);
  });

  it('is summed up by whatever is named, in that order, and sorted by it', async (t) => {
    const { json } = await serve(t, ledgerOf(ROWS));
    const { by, rows, total } = await json('?from=2026-11-20&by=provider,tenant');
    assert.deepEqual(by, ['provider', 'tenant']);
    assert.deepEqual(
      rows.map(({ provider, tenant, requests }) => [provider, tenant, requests]),
      [
        ['-', 'acme', 1],
        ['openai', 'acme', 1004],
        ['openai', 'acme-2', 1],
        ['openai', 'zeta', 100],
        ['other', 'acme', 1],
      ],
    );
    assert.equal(total['requests'], 1107);
    const byAll = await json('?by=target,key,day,model,provider,tenant');
    assert.deepEqual(Object.keys(byAll.rows[0] ?? {}).slice(0, 6), byAll.by);
    assert.equal(byAll.rows.length, 5);
    assert.equal(byAll.rows.at(-1)?.['target'], 'other/big/with/slashes');
  });

  it('is of the days from the first to the last, both included', async (t) => {
    const { json } = await serve(t, ledgerOf(ROWS));
    const requests = async (query: string) => (await json(query)).total['requests'];
    assert.equal(await requests('?from=2026-11-20&to=2026-11-21'), 1100);
    assert.equal(await requests('?from=2026-11-21'), 107);
    assert.equal(await requests('?to=2026-11-20'), 1000);
    assert.equal(await requests('?from=2026-11-23&to=2026-11-30'), 0);
    const { from, to } = await json('?to=2026-11-20');
    assert.deepEqual([from, to], ['2026-11-20', '2026-11-20']);
  });

  it('leaves out no day, and counts none twice', async (t) => {
    const days = Array.from({ length: 59 }, (_, i) =>
      new Date(NOW - i * 86_400_000).toISOString().slice(0, 10),
    );
    const { json } = await serve(t, ledgerOf(days.map((day) => row({ day }))));
    const { rows, total } = await json(`?from=${days.at(-1)}&by=day`);
    assert.deepEqual(
      rows.map(({ day }) => day),
      days.toReversed(),
    );
    assert.equal(total['requests'], 59);
  });

  it('keeps apart what only looks the same side by side', async (t) => {
    const pairs = [
      ['a,b', 'c/d'],
      ['a', 'b,c/d'],
      ['a","b', 'c/d'],
      ['a', 'b","c/d'],
    ];
    const { json } = await serve(
      t,
      ledgerOf(pairs.map(([model = '', target = '']) => row({ model, target }))),
    );
    const { rows } = await json('?by=model,target');
    const found = rows.map(({ model, target }) => JSON.stringify([model, target]));
    assert.deepEqual(found.toSorted(), pairs.map((pair) => JSON.stringify(pair)).toSorted());
  });

  it('of one tenant is all that the store is asked for', async (t) => {
    const asked: (string | null)[] = [];
    const { json } = await serve(t, {
      flush: async () => true,
      ledger: async (days, tenant) => {
        asked.push(tenant);
        return await ledgerOf(ROWS).ledger(days, tenant);
      },
    });
    await json('?tenant=acme');
    await json('');
    assert.deepEqual(asked, ['acme', null]);
  });

  it('is narrowed to a tenant, a key, a model, a provider or a target', async (t) => {
    const { json } = await serve(t, ledgerOf(ROWS));
    const requests = async (query: string) => (await json(query)).total['requests'];
    assert.equal(await requests('?tenant=acme'), 6);
    assert.equal(await requests('?tenant=acme-2'), 1);
    assert.equal(await requests('?tenant=acm'), 0);
    assert.equal(await requests('?key=web'), 1);
    assert.equal(await requests('?model=smart&key=ci'), 4);
    assert.equal(await requests('?provider=other'), 1);
    assert.equal(await requests('?provider=-'), 1);
    assert.equal(await requests('?target=other/big/with/slashes'), 1);
    assert.equal(await requests('?target=other/big'), 0);
  });

  it('is empty where there was none', async (t) => {
    const { json, csv } = await serve(t, ledgerOf([]));
    const { rows, total } = await json('');
    assert.deepEqual(rows, []);
    assert.deepEqual(total, Object.fromEntries(FIGURES.map((name) => [name, 0])));
    assert.equal(await csv('?by=day'), `day,${FIGURES.join(',')}\r\n`);
  });

  it('covers a year and a leap day, and no more than 400 days', async (t) => {
    const leap = [row({ day: '2024-02-29' }), row({ day: '2024-01-01' }), row({ day: '2025-02-03' })];
    const { json, get } = await serve(t, ledgerOf(leap));
    assert.equal((await json('?from=2024-01-01&to=2025-02-03&by=tenant')).total['requests'], 3);
    const { status, message, param } = await refusalOf(await get('?from=2024-01-01&to=2025-02-04'));
    assert.deepEqual([status, param], [400, 'from']);
    assert.equal(message, 'At most 400 days can be asked for at once; these are 401.');
  });

  it('is exact to the nanodollar, however much it is', async (t) => {
    const costs = [1, 999_999_999, 9_007_199_254_740_991, 9_007_199_254_740_991, 1_000_000_000];
    const rows = costs.map((cost, i) => row({ tenant: `t${i}` }, { cost, input: 9_007_199_254_740_991 }));
    const { get } = await serve(t, ledgerOf(rows));
    const body = await (await get('?by=tenant')).text();
    const written = [...body.matchAll(/"cost_usd":([^,]*),/g)].map(([, figure]) => figure);
    assert.deepEqual(written, [
      '0.000000001',
      '0.999999999',
      '9007199.254740991',
      '9007199.254740991',
      '1',
      '18014400.509481982',
    ]);
    assert.match(body, /"input_tokens":45035996273704955,/);
    assert.doesNotThrow(() => JSON.parse(body));
  });

  it('is answered whole where there is much of it', async (t) => {
    const rows = Array.from({ length: 5000 }, (_, i) => row({ tenant: `tenant-${i}` }));
    const { json, csv } = await serve(t, ledgerOf(rows));
    const answer = await json('?by=tenant');
    assert.equal(answer.rows.length, 5000);
    assert.equal(answer.total['requests'], 5000);
    assert.equal(parseCsv(await csv('?by=tenant')).length, 5001);
  });

  it('adds up to the same whatever it is summed up by', async (t) => {
    const days = ['2026-11-20', '2026-11-21', TODAY];
    const text = fc.oneof(fc.constantFrom('a', 'b', '-', '=1+1', '", "'), fc.string({ minLength: 1 }));
    const anyRow = fc.record({
      day: fc.constantFrom(...days),
      tenant: fc.constantFrom('acme', 'acme-2', '-a'),
      key: fc.constantFrom('ci', '-'),
      model: text,
      target: fc.constantFrom('-', 'p/m', 'p/n', 'q/m/n'),
      sums: fc.record(Object.fromEntries(LEDGER_SUMS.map((name) => [name, fc.maxSafeNat()]))),
    });
    let rows: LedgerRow[] = [];
    const { get, csv } = await serve(t, {
      flush: async () => true,
      ledger: (...asked) => ledgerOf(rows).ledger(...asked),
    });
    const groupings = fc.subarray(['day', 'tenant', 'key', 'model', 'provider', 'target'], { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(anyRow, { maxLength: 20 }), groupings, async (given, by) => {
        rows = given as unknown as LedgerRow[];
        const query = `?from=${days[0]}&by=${by.join(',')}`;
        const [header, ...records] = parseCsv(await csv(query));
        assert.deepEqual(header, [...by, ...FIGURES]);
        const groups = records.map((record) => record.slice(0, by.length));
        assert.equal(new Set(groups.map((group) => JSON.stringify(group))).size, groups.length);
        const inputs = records.map((record) => BigInt(record[by.length + 2] ?? ''));
        const sum = (list: bigint[]) => list.reduce((a, b) => a + b, 0n);
        assert.equal(sum(inputs), sum(rows.map(({ sums }) => BigInt(sums.input))));
        const body = await (await get(query)).text();
        assert.equal(BigInt(/"total":.*"input_tokens":(\d+)/.exec(body)?.[1] ?? ''), sum(inputs));
        // The same rows, in the same order, with every text as it is.
        const answer = JSON.parse(body) as Answer;
        const plain = answer.rows.map((one) => by.map((name) => String(one[name])));
        assert.deepEqual(
          groups.map((group) => group.map((cell) => cell.replace(/^'(?=[=+\-@\t\r\n＝＋－＠])/, ''))),
          plain.map((group) => group.map((cell) => cell.replace(/^'(?=[=+\-@\t\r\n＝＋－＠])/, ''))),
        );
        const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
        const order = plain.toSorted((a, b) =>
          a.reduce((found, cell, i) => (found !== 0 ? found : compare(cell, b[i] ?? '')), 0),
        );
        assert.deepEqual(plain, order);
      }),
      { numRuns: 60 },
    );
  });
});

describe('usage as CSV', () => {
  it('is asked for by name or by type, and JSON is what comes otherwise', async (t) => {
    const { get } = await serve(t, ledgerOf(ROWS));
    const type = async (query: string, accept: string) =>
      ((await get(query, { accept })).headers.get('content-type') ?? '').split(';')[0];
    assert.equal(await type('?format=csv', '*/*'), 'text/csv');
    assert.equal(await type('?format=json', 'text/csv'), 'application/json');
    assert.equal(await type('', 'text/csv'), 'text/csv');
    assert.equal(await type('', 'text/csv, */*;q=0.1'), 'text/csv');
    assert.equal(await type('', 'text/html, Text/CSV;q=0.9'), 'text/csv');
    assert.equal(await type('', 'application/json;q=0.5, text/csv;q=0.6'), 'text/csv');
    assert.equal(await type('', 'text/csv, application/json'), 'application/json');
    assert.equal(await type('', 'text/csv;q=0'), 'application/json');
    assert.equal(await type('', '*/*'), 'application/json');
  });

  it('has a header, a line for each row, and a name to be saved under', async (t) => {
    const { get } = await serve(t, ledgerOf(ROWS));
    const response = await get('?from=2026-11-21&format=csv');
    const disposition = response.headers.get('content-disposition');
    assert.equal(disposition, 'attachment; filename="spillway-usage-2026-11-21-2026-11-22.csv"');
    assert.equal(response.headers.get('vary'), 'accept');
    assert.equal(
      await response.text(),
      [
        `day,tenant,model,${FIGURES.join(',')}`,
        '2026-11-21,zeta,smart,100,0,0,0,0,0,0,0,0',
        '2026-11-22,acme,smart,6,6,11,22,5,0,7,0.001200001,1',
        '2026-11-22,acme-2,fast,1,0,0,0,0,9,0,0,0',
        '',
      ].join('\r\n'),
    );
  });

  it('quotes what would break it', async (t) => {
    const names = ['a,b', 'a"b', 'a\r\nb', 'a\nb', 'plain', ' spaced ', 'größer'];
    const { csv } = await serve(t, ledgerOf(names.map((model) => row({ model }))));
    const text = await csv('?by=model');
    assert.deepEqual(
      parseCsv(text)
        .slice(1)
        .map(([model]) => model),
      names.toSorted(),
    );
    assert.match(text, /\r\n"a""b",1,/);
  });

  it('lets no text begin as a formula, and leaves the lone dash of rows without a key or target', async (t) => {
    const names = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '＝1', '-', 'a=1', "'a"];
    const { csv, json } = await serve(t, ledgerOf(names.map((model) => row({ model }))));
    const models = parseCsv(await csv('?by=model'))
      .slice(1)
      .map(([model]) => model);
    assert.deepEqual(models.toSorted(), [
      "'\t=1",
      "'\r=1",
      "'+1",
      "'-1",
      "'=1+1",
      "'@SUM(A1)",
      "'a",
      "'＝1",
      '-',
      'a=1',
    ]);
    // A program that reads JSON runs nothing.
    assert.deepEqual((await json('?by=model')).rows.map(({ model }) => model).toSorted(), names.toSorted());
  });
});

describe('usage that is asked for in a wrong way', () => {
  for (const [query, param, message] of [
    [
      '?form=2026-11-01',
      'form',
      /^There is no parameter "form"; did you mean from\? There are: from, to, by, /,
    ],
    ['?tenant_id=a', 'tenant_id', /did you mean tenant\?/],
    ['?zzzzzz=a', 'zzzzzz', /^There is no parameter "zzzzzz"\. There are: /],
    ['?__proto__=a', '__proto__', /^There is no parameter "__proto__"/],
    ['?constructor=a', 'constructor', /^There is no parameter "constructor"/],
    ['?day=2026-11-01', 'day', /^There is no parameter "day"/],
    [
      '?by=day,tennant',
      'by',
      /by "tennant"; did you mean tenant\? There are: day, tenant, key, model, provider, target\.$/,
    ],
    ['?by=day,', 'by', /^Usage cannot be summed up by ""/],
    ['?by=', 'by', /^`by` has no value\.$/],
    ['?by=day,day', 'by', /names day twice/],
    ['?by=day&by=tenant', 'by', /^`by` is given more than once\.$/],
    ['?tenant=', 'tenant', /has no value/],
    ['?from=2026-02-30', 'from', /must be a date \(UTC\) such as 2026-11-22, not "2026-02-30"/],
    ['?from=2026-13-01', 'from', /must be a date/],
    ['?to=yesterday', 'to', /must be a date/],
    ['?to=2026-11-22T00:00:00Z', 'to', /must be a date/],
    ['?to=+02026-11-22', 'to', /must be a date/],
    [
      '?from=2026-11-23',
      'from',
      /is 2026-11-23, after `to`, which is 2026-11-22 \(today, since it is left out\)/,
    ],
    ['?from=2026-11-02&to=2026-11-01', 'from', /after `to`, which is 2026-11-01\.$/],
    ['?from=0000-01-01', 'from', /^At most 400 days/],
    ['?format=xml', 'format', /^There is no format "xml"\. There are: json, csv\.$/],
    ['?format=cvs', 'format', /did you mean csv\?/],
  ] as const) {
    it(`is refused: ${query}`, async (t) => {
      const { get, failures } = await serve(t, {
        flush: async () => assert.fail('nothing is to be read'),
        ledger: async () => assert.fail('nothing is to be read'),
      });
      const refusal = await refusalOf(await get(query));
      assert.deepEqual([refusal.status, refusal.code, refusal.param], [400, 'invalid_value', param]);
      assert.match(refusal.message, message);
      assert.deepEqual(failures, []);
    });
  }

  it('is refused with another method, which is named', async (t) => {
    const { get } = await serve(t, ledgerOf([]));
    const url = (await get('')).url;
    const response = await fetch(url, { method: 'POST' });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'GET');
  });
});

describe('usage whose store is away', () => {
  it('is not answered with a part of it', async (t) => {
    let calls = 0;
    const { get, failures } = await serve(t, {
      flush: async () => true,
      ledger: async () => {
        if (++calls === 3) throw new StateUnavailable('no answer from redis within 250 ms');
        return ROWS;
      },
    });
    const response = await get('?from=2026-10-01&to=2026-10-31', { accept: 'text/csv' });
    assert.equal(response.headers.get('retry-after'), '1');
    const { status, code, type, message } = await refusalOf(response);
    assert.deepEqual([status, code, type], [503, 'state_unavailable', 'server_error']);
    assert.match(message, /^Usage cannot be read now/);
    assert.deepEqual(failures, []);
  });

  it('is not answered without what is yet to be written, be it of one tenant', async (t) => {
    const asked: (string | null)[] = [];
    const { get } = await serve(t, {
      flush: async (tenant) => {
        asked.push(tenant);
        return false;
      },
      ledger: async () => ROWS,
    });
    for (const query of ['', '?tenant=acme']) {
      const { status, code } = await refusalOf(await get(query));
      assert.deepEqual([status, code], [503, 'state_unavailable']);
    }
    assert.deepEqual(asked, [null, 'acme']);
  });

  it('is told apart from a mistake of ours', async (t) => {
    const mistake = new Error('a mistake');
    const { get, failures } = await serve(t, {
      flush: async () => true,
      ledger: async () => Promise.reject(mistake),
    });
    assert.equal((await refusalOf(await get(''))).status, 500);
    assert.deepEqual(failures, [mistake]);
    await assert.rejects(
      usageReport(
        { days: [TODAY], by: [], only: {} },
        { flush: async () => Promise.reject(new StateUnavailable('gone')), ledger: async () => [] },
      ),
      (error) => error instanceof ApiError && error.code === 'state_unavailable',
    );
  });
});

describe('usage out of a store', () => {
  it('has what was settled, on the day of its admission, and is read after what is pending', async (t) => {
    let now = Date.parse('2026-11-21T23:59:59Z');
    const store = new MemoryStore({ wall: () => now, ledgerDays: 400 });
    const spend = async (id: string, tenant: string, sums: Partial<LedgerSums>) => {
      const verdict = await store.admit({ tenant, id, demands: [] });
      assert.ok(verdict.kind === 'admitted');
      const ledger = [{ key: 'ci', model: 'smart', target: 'openai/gpt-6-sol', sums: sumsOf(sums) }];
      return () => store.settle({ ticket: verdict.ticket, used: [], ledger });
    };
    const settleLate = await spend('1', 'acme', { requests: 1, tries: 2, input: 5, cost: 7 });
    now = NOW;
    (await spend('2', 'acme', { requests: 1, output: 3, cost: 1 }))();
    (await spend('3', 'acme-2', { requests: 1 }))();
    const { json } = await serve(t, {
      // What is under way when somebody asks is settled before it is read.
      flush: async (tenant) => {
        assert.equal(tenant, null);
        settleLate();
        return await store.flush();
      },
      ledger: (days, tenant) => store.ledger(days, tenant),
    });
    const { rows, total } = await json('?from=2026-11-21&by=day,tenant');
    assert.deepEqual(
      rows.map(({ day, tenant, requests, tries, cost_usd }) => [day, tenant, requests, tries, cost_usd]),
      [
        ['2026-11-21', 'acme', 1, 2, 7e-9],
        ['2026-11-22', 'acme', 1, 0, 1e-9],
        ['2026-11-22', 'acme-2', 1, 0, 0],
      ],
    );
    assert.deepEqual([total['requests'], total['cost_usd']], [3, 8e-9]);
  });
});
