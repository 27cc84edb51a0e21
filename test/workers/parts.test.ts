import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  aggregated,
  onlyGrowing,
  printed,
  tenantsIn,
  withoutTenants,
} from '../../src/accounting/aggregate.ts';
import { type Aggregator, type MetricObject, newRegistry } from '../../src/accounting/prometheus.ts';
import { FilesAsRead, onDisk, RememberedFiles } from '../../src/config/files.ts';
import { ApiError } from '../../src/core/errors.ts';
import type { UpstreamStatus } from '../../src/server/admin.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { received, sent } from '../../src/workers/errors.ts';
import { Pauses } from '../../src/workers/pauses.ts';
import { mergedRows } from '../../src/workers/upstream-rows.ts';
import { WholeLines } from '../../src/workers/whole-lines.ts';
import { temporaryDirectory } from '../support/process.ts';

const MINUTE = 60_000;

describe('the pause before a worker is replaced', () => {
  it('is none at first, doubles with each death in a row, and has an end', () => {
    const pauses = new Pauses(() => 0.5);
    const all = Array.from({ length: 8 }, () => pauses.after(1000));
    assert.deepEqual(all, [0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  });

  it('begins anew after one that lived for a minute', () => {
    const pauses = new Pauses(() => 0.5);
    pauses.after(1000);
    assert.equal(pauses.after(MINUTE - 1), 500);
    assert.equal(pauses.after(MINUTE), 0);
    assert.equal(pauses.after(1000), 500);
  });

  it('differs by up to a fifth either way', () => {
    for (const [chance, pause] of [
      [0, 400],
      [0.999999, 600],
    ] as const) {
      const pauses = new Pauses(() => chance);
      pauses.after(0);
      assert.equal(pauses.after(0), pause);
    }
  });
});

describe('lines in pieces', () => {
  it('are handed on whole, several at a time, without what was never ended', () => {
    const written: string[] = [];
    const lines = new WholeLines((text) => written.push(text));
    for (const piece of ['{"a"', ':1}', '\n', '{"b":2}\n{"c":3}\n{"d"', ':4}\n', '', '{"e":'])
      lines.take(piece);
    assert.deepEqual(written, ['{"a":1}\n', '{"b":2}\n{"c":3}\n', '{"d":4}\n']);
  });
});

const metric = (
  name: string,
  type: MetricObject['type'],
  values: [Record<string, string>, number | null][],
  aggregator: Aggregator = 'sum',
): MetricObject => ({
  name,
  help: 'h',
  type,
  aggregator,
  // As JSON has it where it was no number.
  values: values.map(([labels, value]) => ({ labels, value: value as number })),
});

describe('metrics of several processes', () => {
  it('become one by what each of them means', () => {
    const of = (aggregator: Aggregator, ...values: (number | null)[]) =>
      aggregated(values.map((value) => [metric('m', 'gauge', [[{}, value]], aggregator)]))[0]?.values[0]
        ?.value;
    assert.equal(of('sum', 1, 2, 3), 6);
    assert.equal(of('min', 3, 1, 2), 1);
    assert.equal(of('max', 3, 1, 2), 3);
    assert.equal(of('average', 3, 1, 2), 2);
    assert.equal(of('first', 3, 1, 2), 3);
    assert.equal(of('omit', 3, 1, 2), 3);
    assert.equal(of('average', null, 4), 4);
    assert.ok(Number.isNaN(of('max', null, null)));
  });

  it('say of descriptors how the process stands that has least left', async () => {
    const descriptors = await Promise.all(
      [newRegistry(), newRegistry()].map(async (registry) =>
        (await registry.getMetricsAsJSON()).filter(({ name }) => name.endsWith('_fds')),
      ),
    );
    const told = [
      { process_open_fds: 30, process_max_fds: 1024 },
      { process_open_fds: 900, process_max_fds: 1024 },
    ].map((values: Record<string, number>, i) =>
      (descriptors[i] ?? []).map((one) => ({
        ...one,
        values: [{ labels: {}, value: values[one.name] ?? 0 }],
      })),
    );
    assert.deepEqual(
      aggregated(told).map(({ name, values }) => [name, values[0]?.value]),
      [
        ['process_open_fds', 900],
        ['process_max_fds', 1024],
      ],
    );
  });

  it('keep the series apart that differ in a label or in their part of a histogram', async () => {
    const histogram = (count: number): MetricObject => ({
      ...metric('h', 'histogram', []),
      values: [
        { metricName: 'h_bucket', labels: { le: '1' }, value: count },
        { metricName: 'h_bucket', labels: { le: '+Inf' }, value: count + 1 },
        { metricName: 'h_sum', labels: {}, value: 0.5 },
        { metricName: 'h_count', labels: {}, value: count + 1 },
      ],
    });
    const first = [
      metric('c', 'counter', [
        [{ a: 'x' }, 1],
        [{ a: 'y' }, 2],
      ]),
      histogram(1),
    ];
    const second = [
      histogram(2),
      metric('c', 'counter', [
        [{ a: 'y' }, 3],
        [{ a: 'z' }, 4],
      ]),
    ];
    const { text, contentType } = await printed(aggregated([first, second]));
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    assert.deepEqual(lines, [
      'c{a="x"} 1',
      'c{a="y"} 5',
      'c{a="z"} 4',
      'h_bucket{le="1"} 3',
      'h_bucket{le="+Inf"} 5',
      'h_sum 1',
      'h_count 5',
    ]);
  });

  it('are kept of the dead where they only grow, and as long as their tenants are there', () => {
    const last = [
      metric('c', 'counter', [
        [{ tenant: 'a' }, 1],
        [{ tenant: 'b' }, 2],
        [{}, 3],
      ]),
      metric('g', 'gauge', [[{}, 4]]),
    ];
    const kept = onlyGrowing(last);
    assert.deepEqual(
      kept.map(({ name }) => name),
      ['c'],
    );
    assert.deepEqual([...tenantsIn(kept)], ['a', 'b']);
    assert.deepEqual(
      withoutTenants(kept, new Set(['a']))[0]?.values.map(({ value }) => value),
      [2, 3],
    );
  });
});

describe('rows of upstreams', () => {
  const row = (changes: Partial<UpstreamStatus>): UpstreamStatus => ({
    id: 'a/m#1',
    provider: 'a',
    model: 'm',
    breaker: 'closed',
    opens: 0,
    cooldown_until: null,
    in_flight: 0,
    last_error: null,
    ...changes,
  });

  it('become one for each upstream: sums, and the worst', () => {
    const merged = mergedRows([
      [row({ in_flight: 1, opens: 2, last_error: 'old' }), row({ id: 'b/m#1' })],
      [
        row({
          in_flight: 2,
          opens: 1,
          breaker: 'open',
          cooldown_until: '2026-11-22T10:00:01.000Z',
          last_error: 'new',
        }),
      ],
      [row({ breaker: 'half_open', cooldown_until: '2026-11-22T10:00:02.000Z' }), row({ id: 'c/m#1' })],
    ]);
    assert.deepEqual(merged, [
      row({
        breaker: 'open',
        opens: 3,
        in_flight: 3,
        cooldown_until: '2026-11-22T10:00:02.000Z',
        last_error: 'new',
      }),
      row({ id: 'b/m#1' }),
      row({ id: 'c/m#1' }),
    ]);
  });

  it('say of the last error what anybody knows', () => {
    const merged = mergedRows([[row({ last_error: 'known' })], [row({ breaker: 'open' })]]);
    assert.deepEqual(merged, [row({ breaker: 'open', last_error: 'known' })]);
  });
});

describe('the files of a configuration', () => {
  it('are for another process as they were read, whatever has become of them', (t) => {
    const directory = temporaryDirectory({ after: (clean) => t.after(clean) });
    const [there, missing, other] = ['there', 'missing', 'other'].map((name) => join(directory, name));
    writeFileSync(there as string, 'one');
    const remembered = new RememberedFiles(onDisk);
    assert.equal(remembered.read(there as string), 'one');
    assert.throws(() => remembered.read(missing as string), { code: 'ENOENT' });
    writeFileSync(there as string, 'two');
    writeFileSync(missing as string, 'three');
    const read = new FilesAsRead(JSON.parse(JSON.stringify(remembered.all)));
    assert.equal(read.read(there as string), 'one');
    assert.throws(() => read.read(missing as string), { code: 'ENOENT' });
    assert.throws(() => read.read(other as string), { code: 'ENOENT' });
  });
});

describe('an error that is sent to another process', () => {
  const there = (error: unknown) => received(JSON.parse(JSON.stringify(sent(error))));

  it('is the same answer to a client', () => {
    const error = new ApiError('key_exists', 'taken', {
      param: 'p',
      retryAfterMs: 5,
      shouldRetry: false,
      headers: { allow: 'GET' },
      type: 't',
    });
    const again = there(error);
    assert.ok(again instanceof ApiError);
    assert.deepEqual({ ...again }, { ...error });
    assert.equal(again.message, 'taken');
    assert.equal(again.status, 409);
  });

  it('says what it was', () => {
    assert.ok(there(new StateUnavailable('away')) instanceof StateUnavailable);
    const inUse = there(Object.assign(new Error('in use'), { code: 'EADDRINUSE' }));
    assert.deepEqual([inUse.message, (inUse as NodeJS.ErrnoException).code], ['in use', 'EADDRINUSE']);
    assert.equal(there('a text').message, 'a text');
  });
});
