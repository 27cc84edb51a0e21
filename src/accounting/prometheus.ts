import client from 'prom-client';
import { exposition } from './exposition.ts';

/** How the values of several processes become one: prom-client's words. `omit`: only one's own has a meaning. */
export type Aggregator = 'sum' | 'min' | 'max' | 'average' | 'first' | 'omit';

/** What prom-client prints of one metric. Its values are read as they are taken, once. */
export interface MetricObject {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  aggregator: Aggregator;
  values: Iterable<Value>;
}

export interface Value {
  metricName?: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** prom-client's registry as we use it: each metric is asked for its values when they are to be printed. */
export interface Registry {
  registerMetric(metric: { name: string; get(): Promise<MetricObject> }): void;
  metrics(): Promise<string>;
  getMetricsAsArray(): { name: string; get(): Promise<MetricObject> }[];
  readonly contentType: string;
}

/** Each process has descriptors of its own, and what matters is the one that has least left. prom-client adds them up. */
const OF_THE_FULLEST: Readonly<Record<string, Aggregator>> = {
  process_open_fds: 'max',
  process_max_fds: 'min',
};

/** A registry that already holds Node's own metrics. */
export function newRegistry(): Registry {
  const registry = new PrintedInTurns();
  client.collectDefaultMetrics({ register: registry });
  // Gauges with the name of a counter, which Prometheus' linter objects to; each is the sum of a metric that stays.
  for (const name of ['handles', 'requests', 'resources']) {
    registry.removeSingleMetric(`nodejs_active_${name}_total`);
  }
  for (const [name, aggregator] of Object.entries(OF_THE_FULLEST)) {
    // Only where the system counts them.
    const metric = registry.getSingleMetric(name) as { aggregator?: Aggregator } | undefined;
    if (metric !== undefined) metric.aggregator = aggregator;
  }
  return registry as unknown as Registry;
}

/** prom-client prints all in one go, and whoever has a request under way waits for it. */
class PrintedInTurns extends client.Registry {
  override metrics(): Promise<string> {
    // What its types call the array's items is what their `get` resolves to.
    return exposition(this.getMetricsAsArray() as unknown as { get(): Promise<MetricObject> }[]);
  }
}
