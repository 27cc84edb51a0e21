import client from 'prom-client';
import { type InWords, printed, SERIES_AT_ONCE, type Series, Turns, tenantOf } from './exposition.ts';
import type { Aggregator, MetricObject } from './prometheus.ts';

type About = Omit<MetricObject, 'values'>;

/** A metric, or a part of one, on its way between processes: V8 takes two rows of plain values far faster than as many objects with labels. */
export interface Told extends About {
  series: string[];
  /** Of each of them. */
  values: number[];
}

/** What values of one series that several processes have become, each in the words of prom-client. */
const TOGETHER: Readonly<Record<Aggregator, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  average: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  first: ([first = Number.NaN]) => first,
  omit: ([first = Number.NaN]) => first,
};

/** In pieces of so many series at most, the next one made when it is asked for. One metric may be in many of them. */
export async function* inPieces(metrics: AsyncIterable<InWords<MetricObject>>): AsyncGenerator<Told[]> {
  let piece: Told[] = [];
  let room = SERIES_AT_ONCE;
  for await (const { series, ...about } of metrics) {
    let part: Told = { ...about, series: [], values: [] };
    piece.push(part);
    for (const [one, value] of series) {
      if (room === 0) {
        yield piece;
        part = { ...about, series: [], values: [] };
        piece = [part];
        room = SERIES_AT_ONCE;
      }
      part.series.push(one);
      part.values.push(value);
      room--;
    }
  }
  if (piece.length > 0) yield piece;
}

/** The metrics of several processes as if they were one. Of what has a meaning for one process only, the first one's stays. Others get their turns meanwhile. */
export async function* aggregated(all: readonly (readonly Told[])[]): AsyncGenerator<InWords<MetricObject>> {
  const parts = Map.groupBy(all.flat(), ({ name }) => name);
  const turns = new Turns();
  for (const ofMetric of parts.values()) {
    const gathered = new Map<string, number[]>();
    for (const { series, values } of ofMetric) {
      for (const [index, one] of series.entries()) {
        gather(gathered, one, values[index] as number);
        const turn = turns.afterOne();
        if (turn !== null) await turn;
      }
    }
    const [{ name, help, type, aggregator }] = ofMetric as [Told];
    yield { name, help, type, aggregator, series: together(gathered, aggregator) };
  }
}

/** `value`: no number where nothing was measured yet. */
function gather(gathered: Map<string, number[]>, series: string, value: number): void {
  const known = gathered.get(series);
  if (known === undefined) gathered.set(series, Number.isFinite(value) ? [value] : []);
  else if (Number.isFinite(value)) known.push(value);
}

function* together(gathered: Map<string, number[]>, aggregator: Aggregator): Generator<Series> {
  for (const [series, values] of gathered) {
    yield [series, values.length === 0 ? Number.NaN : TOGETHER[aggregator](values)];
  }
}

/** Of these metrics, what only ever grows: it must not shrink when one who counted is gone. */
export function onlyGrowing(told: readonly Told[]): Told[] {
  return told.filter(({ type }) => type !== 'gauge');
}

/** Without the series of these tenants. */
export function withoutTenants(told: Told, tenants: ReadonlySet<string>): Told {
  const stays = told.series.map((one) => !tenants.has(tenantOf(one) ?? ''));
  return {
    ...told,
    series: told.series.filter((_, index) => stays[index]),
    values: told.values.filter((_, index) => stays[index]),
  };
}

/** The tenants that have series among these. */
export function tenantsIn({ series }: Told): Set<string> {
  const tenants = new Set<string>();
  for (const one of series) {
    const tenant = tenantOf(one);
    if (tenant !== null) tenants.add(tenant);
  }
  return tenants;
}

/** As Prometheus reads it. */
export async function asText(
  metrics: AsyncIterable<InWords>,
): Promise<{ text: string; contentType: string }> {
  return { text: await printed(metrics), contentType: client.Registry.PROMETHEUS_CONTENT_TYPE };
}
