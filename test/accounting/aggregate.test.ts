import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  aggregated,
  asText,
  inPieces,
  onlyGrowing,
  type Told,
  tenantsIn,
  withoutTenants,
} from '../../src/accounting/aggregate.ts';
import { exposition, inWords, SERIES_AT_ONCE } from '../../src/accounting/exposition.ts';
import {
  type Aggregator,
  type MetricObject,
  newRegistry,
  type Value,
} from '../../src/accounting/prometheus.ts';
import { HistogramFamily } from '../../src/accounting/series.ts';
import { turnsDuring } from '../support/turns.ts';

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

const counter = (name: string, count: number) =>
  metric(
    name,
    'counter',
    Array.from({ length: count }, (_, i) => [{ tenant: `t${i}` }, i]),
  );

const registered = (metrics: readonly MetricObject[]) => metrics.map((one) => ({ get: async () => one }));

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) taken.push(item);
  return taken;
}

/** As they come to another process, piece by piece. */
const pieces = (metrics: readonly MetricObject[]) => all(inPieces(inWords(registered(metrics))));
const told = async (...metrics: MetricObject[]): Promise<Told[]> => (await pieces(metrics)).flat();

/** The lines of series. */
const lines = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const together = async (...all: Told[][]) => lines((await asText(aggregated(all))).text);

describe('metrics of several processes', () => {
  it('become one by what each of them means', async () => {
    const of = async (aggregator: Aggregator, ...values: (number | null)[]) => {
      const all = values.map((value) => told(metric('m', 'gauge', [[{}, value]], aggregator)));
      return (await together(...(await Promise.all(all)))).join();
    };
    assert.equal(await of('sum', 1, 2, 3), 'm 6');
    assert.equal(await of('min', 3, 1, 2), 'm 1');
    assert.equal(await of('max', 3, 1, 2), 'm 3');
    assert.equal(await of('average', 3, 1, 2), 'm 2');
    assert.equal(await of('first', 3, 1, 2), 'm 3');
    assert.equal(await of('omit', 3, 1, 2), 'm 3');
    assert.equal(await of('average', null, 4), 'm 4');
    assert.equal(await of('max', null, null), 'm NaN');
  });

  it('say of descriptors how the process stands that has least left', async () => {
    const descriptors = newRegistry()
      .getMetricsAsArray()
      .filter(({ name }) => name.endsWith('_fds'));
    const processes = [
      { process_open_fds: 30, process_max_fds: 1024 },
      { process_open_fds: 900, process_max_fds: 1024 },
    ].map(async (values: Record<string, number>) => {
      const told = (await all(inPieces(inWords(descriptors)))).flat();
      return told.map((one) => ({ ...one, values: [values[one.name] ?? 0] }));
    });
    assert.deepEqual(await together(...(await Promise.all(processes))), [
      'process_open_fds 900',
      'process_max_fds 1024',
    ]);
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
    const { text, contentType } = await asText(aggregated([await told(...first), await told(...second)]));
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    assert.deepEqual(lines(text), [
      'c{a="x"} 1',
      'c{a="y"} 5',
      'c{a="z"} 4',
      'h_bucket{le="1"} 3',
      'h_bucket{le="+Inf"} 5',
      'h_sum 1',
      'h_count 5',
    ]);
  });

  it('are kept of the dead where they only grow, and as long as their tenants are there', async () => {
    const last = await told(
      metric('c', 'counter', [
        [{ tenant: 'a', model: ',tenant="z"' }, 1],
        [{ model: ',tenant="z"', tenant: 'b' }, 2],
        [{ model: 'm{tenant="z"' }, 3],
      ]),
      metric('g', 'gauge', [[{}, 4]]),
    );
    const [kept, ...others] = onlyGrowing(last);
    assert.ok(kept !== undefined);
    assert.deepEqual([kept.name, others], ['c', []]);
    assert.deepEqual([...tenantsIn(kept)], ['a', 'b']);
    const left = withoutTenants(kept, new Set(['a', 'z']));
    assert.deepEqual(left.values, [2, 3]);
    assert.equal(left.series.length, 2);
  });
});

describe('metrics on their way to another process', () => {
  it('come in pieces of a thousand series at most, small ones together, none of them twice', async () => {
    const all = [counter('a', 10), counter('b', 2 * SERIES_AT_ONCE), counter('c', 0), counter('d', 20)];
    const sent = await pieces(all);
    const sizes = sent.map((piece) => piece.reduce((sum, { series }) => sum + series.length, 0));
    assert.deepEqual(sizes, [SERIES_AT_ONCE, SERIES_AT_ONCE, 30]);
    assert.deepEqual(
      sent.map((piece) => piece.map(({ name }) => name)),
      [['a', 'b'], ['b'], ['b', 'c', 'd']],
    );
    const { text } = await asText(aggregated([sent.flat()]));
    assert.equal(text, await exposition(registered(all)));
  });

  it('are read when they are asked for, and not before', async () => {
    let read = 0;
    const values = (function* (): Generator<Value> {
      for (; read < 3 * SERIES_AT_ONCE; read++) yield { labels: { n: String(read) }, value: 0 };
    })();
    const sent = inPieces(inWords(registered([{ ...metric('c', 'counter', []), values }])));
    for (let piece = 1; piece <= 3; piece++) {
      await sent.next();
      assert.ok(read <= piece * SERIES_AT_ONCE, `${read} read for ${piece} pieces`);
    }
  });

  it('have all lines of a histogram as of one moment, whatever is observed between pieces', async () => {
    const registry = newRegistry();
    const family = new HistogramFamily(registry, {
      name: 'h',
      help: 'h',
      labels: ['model'],
      bounds: [1, 2, 3, 4],
    });
    const histograms = Array.from({ length: 500 }, (_, i) => family.with({ model: `m${i}` }));
    const metrics = registry.getMetricsAsArray().filter(({ name }) => name === 'h');
    const values = new Map<string, number>();
    let count = 0;
    for await (const piece of inPieces(inWords(metrics))) {
      for (const { series, values: told } of piece) {
        for (const [index, one] of series.entries()) values.set(one, told[index] as number);
      }
      for (const histogram of histograms) histogram.observe(0.5);
      count++;
    }
    assert.ok(count > 2);
    for (let i = 0; i < 500; i++) {
      assert.equal(
        values.get(`h_bucket{model="m${i}",le="1"}`),
        values.get(`h_count{model="m${i}"}`),
        `m${i}`,
      );
    }
  });
});

describe('adding up the metrics of several processes', () => {
  it('lets others have their turn between each thousand series, also where only few are left of them', async () => {
    const processes = await Promise.all(Array.from({ length: 4 }, () => told(counter('c', 1_500))));
    let left = 0;
    const turns = await turnsDuring(async () => {
      const { value } = await aggregated(processes).next();
      left = [...(value?.series ?? [])].length;
    });
    assert.equal(left, 1_500);
    assert.ok(turns >= 6, `${turns} turns`);
  });

  it('in pieces comes to the same as at once', async () => {
    const label = fc.constantFrom('', 'a', 'b', 'c"', 'd\\', 'e\nf');
    const value = fc.oneof(
      fc.nat(1e6),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY),
    );
    const aggregator = fc.constantFrom<Aggregator>('sum', 'average', 'min', 'max', 'first', 'omit');
    const one = fc.record({
      name: fc.constantFrom('m', 'n', 'o'),
      padding: fc.constantFrom(0, 0, 0, 700, 1_300),
      series: fc.uniqueArray(fc.tuple(label, label, value), { selector: ([a, b]) => `${a} ${b}` }),
    });
    const process = fc.uniqueArray(one, { selector: ({ name }) => name });
    const aggregators = fc.record({ m: aggregator, n: aggregator, o: aggregator });
    await fc.assert(
      fc.asyncProperty(fc.array(process, { maxLength: 4 }), aggregators, async (processes, by) => {
        const all = processes.map((metrics) =>
          metrics.map(({ name, padding, series }) => {
            const more = Array.from({ length: padding }, (_, i): [Record<string, string>, number] => [
              { n: `${i}` },
              i,
            ]);
            const some = series.map(([a, b, v]): [Record<string, string>, number] => [{ a, b }, v]);
            return metric(name, 'gauge', [...more, ...some], by[name as 'm']);
          }),
        );
        const { text } = await asText(aggregated(await Promise.all(all.map((one) => told(...one)))));
        assert.equal(text, await exposition(registered(atOnce(all))));
      }),
      { numRuns: 100 },
    );
  });
});

const MEANING: Record<Aggregator, (values: number[]) => number> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  average: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  first: (values) => values[0] as number,
  omit: (values) => values[0] as number,
};

/** The plain way: labels compared, everything in one go. */
function atOnce(all: readonly (readonly MetricObject[])[]): MetricObject[] {
  const metrics = Map.groupBy(all.flat(), ({ name }) => name);
  return [...metrics.values()].map((ofName) => {
    const values = Map.groupBy(
      ofName.flatMap((one) => [...one.values]),
      ({ labels }) => JSON.stringify(labels),
    );
    const first = ofName[0] as MetricObject;
    return {
      ...first,
      values: [...values.values()].map((ofSeries) => {
        const finite = ofSeries.map(({ value }) => value).filter(Number.isFinite);
        return {
          labels: ofSeries[0]?.labels ?? {},
          value: finite.length === 0 ? Number.NaN : MEANING[first.aggregator](finite),
        };
      }),
    };
  });
}
