import type { Aggregator, MetricObject, Registry, Value } from './prometheus.ts';

/**
 * Counters and histograms that cost an addition to observe. prom-client looks its labels up in a hash on every observation; here a
 * series is looked up once, by whoever observes it, and prom-client only prints what stands in it when Prometheus asks.
 */
export interface Counter {
  value: number;
}

type Labels<N extends string> = Readonly<Record<N, string>>;

/** All series of one counter or gauge. */
export class CounterFamily<N extends string> {
  readonly #series = new Map<string, { labels: Labels<N>; counter: Counter }>();
  readonly #names: readonly N[];

  constructor(registry: Registry, metric: { name: string; help: string; labels: readonly N[] }) {
    this.#names = metric.labels;
    registry.registerMetric({
      name: metric.name,
      get: async (): Promise<MetricObject> => ({
        name: metric.name,
        help: metric.help,
        type: 'counter',
        aggregator: 'sum',
        values: this.#values(),
      }),
    });
  }

  *#values(): Generator<Value> {
    for (const { labels, counter } of this.#series.values()) yield { labels, value: counter.value };
  }

  /** Drops the series of which this label has one of these values. */
  drop(label: N, values: ReadonlySet<string>): void {
    for (const [key, { labels }] of this.#series) if (values.has(labels[label])) this.#series.delete(key);
  }

  /** The series with these labels, made when first asked for. */
  with(labels: Labels<N>): Counter {
    const key = this.#names.map((name) => labels[name]).join('\u0000');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels: { ...labels }, counter: { value: 0 } };
      this.#series.set(key, series);
    }
    return series.counter;
  }
}

/** A gauge whose values are read when Prometheus asks. `aggregator`: what those of several processes are together; their sum unless said. */
export function registerGauge(
  registry: Registry,
  metric: { name: string; help: string; aggregator?: Aggregator },
  read: () => readonly { labels: Readonly<Record<string, string>>; value: number }[],
): void {
  registry.registerMetric({
    name: metric.name,
    get: async (): Promise<MetricObject> => ({
      aggregator: 'sum',
      ...metric,
      type: 'gauge',
      values: [...read()],
    }),
  });
}

/** One series of a histogram. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** Observations in each bucket by itself; the last is above all bounds. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }
}

/** All series of one histogram. */
export class HistogramFamily<N extends string> {
  readonly #series = new Map<string, { labels: Labels<N>; histogram: Histogram }>();
  readonly #names: readonly N[];
  readonly #bounds: readonly number[];

  /** `bounds`: upper bounds of the buckets, rising, without infinity. */
  constructor(
    registry: Registry,
    metric: { name: string; help: string; labels: readonly N[]; bounds: readonly number[] },
  ) {
    this.#names = metric.labels;
    this.#bounds = metric.bounds;
    registry.registerMetric({
      name: metric.name,
      get: async (): Promise<MetricObject> => ({
        name: metric.name,
        help: metric.help,
        type: 'histogram',
        aggregator: 'sum',
        values: this.#values(metric.name),
      }),
    });
  }

  *#values(name: string): Generator<Value> {
    // All lines of one series at once: they are to agree, whatever is observed while others are printed.
    for (const series of this.#series.values()) yield* this.#print(name, series);
  }

  /** The series with these labels, made when first asked for. */
  with(labels: Labels<N>): Histogram {
    const key = this.#names.map((name) => labels[name]).join('\u0000');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels: { ...labels }, histogram: new Histogram(this.#bounds) };
      this.#series.set(key, series);
    }
    return series.histogram;
  }

  #print(name: string, { labels, histogram }: { labels: Labels<N>; histogram: Histogram }): Value[] {
    let cumulative = 0;
    const buckets = histogram.counts.map((count, index) => {
      cumulative += count;
      const le = this.#bounds[index];
      return {
        metricName: `${name}_bucket`,
        labels: { ...labels, le: le === undefined ? '+Inf' : String(le) },
        value: cumulative,
      };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: histogram.sum },
      { metricName: `${name}_count`, labels, value: cumulative },
    ];
  }
}
