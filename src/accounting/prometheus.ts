import client from 'prom-client';

/** What prom-client prints of one metric. */
export interface MetricObject {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  aggregator: 'sum';
  values: { metricName?: string; labels: Readonly<Record<string, string>>; value: number }[];
}

/** prom-client's registry as we use it: it asks each metric for its values when it prints. */
export interface Registry {
  registerMetric(metric: { name: string; get(): Promise<MetricObject> }): void;
  metrics(): Promise<string>;
  readonly contentType: string;
}

/** A registry that already holds Node's own metrics. */
export function newRegistry(): Registry {
  const registry = new client.Registry();
  client.collectDefaultMetrics({ register: registry });
  // Gauges with the name of a counter, which Prometheus' linter objects to; each is the sum of a metric that stays.
  for (const name of ['handles', 'requests', 'resources']) {
    registry.removeSingleMetric(`nodejs_active_${name}_total`);
  }
  return registry as unknown as Registry;
}
