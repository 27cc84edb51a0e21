import client from 'prom-client';
import { exposition } from './exposition.ts';
import type { Aggregator, MetricObject } from './prometheus.ts';

type Value = MetricObject['values'][number];

/** What values of one series that several processes have become, each in the words of prom-client. */
const TOGETHER: Readonly<Record<Aggregator, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  average: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  first: ([first = Number.NaN]) => first,
  omit: ([first = Number.NaN]) => first,
};

/** The metrics of several processes as if they were one. Of what has a meaning for one process only, the first one's stays. */
export function aggregated(all: readonly (readonly MetricObject[])[]): MetricObject[] {
  const metrics = new Map<string, { metric: MetricObject; series: Map<string, Gathered> }>();
  for (const metric of all.flat()) {
    let known = metrics.get(metric.name);
    if (known === undefined) {
      known = { metric, series: new Map() };
      metrics.set(metric.name, known);
    }
    for (const one of metric.values) {
      const key = `${one.metricName ?? ''} ${JSON.stringify(one.labels)}`;
      let gathered = known.series.get(key);
      if (gathered === undefined) {
        gathered = { one, values: [] };
        known.series.set(key, gathered);
      }
      // What is no number is null by the time that it has come here: nothing was measured yet.
      if (Number.isFinite(one.value)) gathered.values.push(one.value);
    }
  }
  return [...metrics.values()].map(({ metric, series }) => ({
    ...metric,
    values: [...series.values()].map(({ one, values }) => ({
      ...one,
      value: values.length === 0 ? Number.NaN : TOGETHER[metric.aggregator](values),
    })),
  }));
}

interface Gathered {
  one: Value;
  values: number[];
}

/** Of these metrics, what only ever grows: it must not shrink when one who counted is gone. */
export function onlyGrowing(metrics: readonly MetricObject[]): MetricObject[] {
  return metrics.filter(({ type }) => type !== 'gauge');
}

/** Without the series of these tenants. */
export function withoutTenants(
  metrics: readonly MetricObject[],
  tenants: ReadonlySet<string>,
): MetricObject[] {
  return metrics.map((metric) => ({
    ...metric,
    values: metric.values.filter(({ labels }) => !tenants.has(labels['tenant'] ?? '')),
  }));
}

/** The tenants that have series among these. */
export function tenantsIn(metrics: readonly MetricObject[]): Set<string> {
  const tenants = new Set<string>();
  for (const { values } of metrics) {
    for (const { labels } of values) if (labels['tenant'] !== undefined) tenants.add(labels['tenant']);
  }
  return tenants;
}

/** As Prometheus reads it. */
export async function printed(
  metrics: readonly MetricObject[],
): Promise<{ text: string; contentType: string }> {
  const text = await exposition(metrics.map((metric) => ({ get: async () => metric })));
  return { text, contentType: client.Registry.PROMETHEUS_CONTENT_TYPE };
}
