import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import client from 'prom-client';
import { exposition } from '../../src/accounting/exposition.ts';
import { type MetricObject, newRegistry } from '../../src/accounting/prometheus.ts';
import { CounterFamily, HistogramFamily } from '../../src/accounting/series.ts';

function metric(values: MetricObject['values'], help = 'Some.') {
  const name = 'some_total';
  const get = async (): Promise<MetricObject> => ({ name, help, type: 'counter', aggregator: 'sum', values });
  return { name, get };
}

describe('the text for Prometheus', () => {
  it('is what prom-client would print of the same metrics', async () => {
    const registry = newRegistry();
    const requests = new CounterFamily(registry, {
      name: 'requests_total',
      help: 'All "requests",\nwith \\.',
      labels: ['tenant', 'status'],
    });
    requests.with({ tenant: 'acme', status: '200' }).value = 3;
    requests.with({ tenant: 'a"b\\c\nd', status: '' }).value = 1e21;
    const times = new HistogramFamily(registry, {
      name: 'times',
      help: 'Times.',
      labels: [],
      bounds: [0.5, 1],
    });
    times.with({}).observe(0.7);
    const ours = await registry.metrics();
    const theirs = await client.Registry.prototype.metrics.call(registry);
    // What Node says of itself goes on changing; which series it has does not.
    const steady = (text: string) =>
      text
        .split('\n')
        .map((line) => (/^(nodejs|process)_/.test(line) ? line.replace(/ \S+$/, '') : line))
        .join('\n');
    assert.equal(steady(ours), steady(theirs));
    assert.match(ours, /^requests_total\{tenant="a\\"b\\\\c\\nd",status=""\} 1e\+21$/m);
    assert.match(ours, /^times_bucket\{le="\+Inf"\} 1$/m);
  });

  it('has words for what is no finite number', async () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => ({
      labels: {},
      value,
    }));
    assert.equal(
      await exposition([metric(values)]),
      '# HELP some_total Some.\n# TYPE some_total counter\nsome_total NaN\nsome_total +Inf\nsome_total -Inf\n',
    );
  });

  it('lets requests have their turn between each thousand lines', async () => {
    const values = Array.from({ length: 1_500 }, (_, i) => ({ labels: { tenant: `t${i}` }, value: i }));
    let turns = 0;
    let over = false;
    const turn = () => {
      turns++;
      if (!over) setImmediate(turn);
    };
    setImmediate(turn);
    // Lines of small metrics count together.
    const text = await exposition([metric(values), metric(values), metric(values)]);
    over = true;
    assert.equal(text.match(/^some_total\{/gm)?.length, 4_500);
    assert.ok(turns >= 4, `${turns} turns`);
  });
});
