import { setImmediate } from 'node:timers/promises';

/** A metric with its values as they are read now. */
export interface Measured {
  name: string;
  help: string;
  type: string;
  values: Iterable<{ metricName?: string; labels: Labels; value: number }>;
}

type Labels = Readonly<Record<string, string | number>>;

/** A series as it stands in the text, `name{label="value"}`, and its value. */
export type Series = readonly [series: string, value: number];

/** A metric as it is printed. */
export type InWords<M extends Measured = Measured> = Omit<M, 'values'> & { series: Iterable<Series> };

/** What is done with so many series before requests get their turn takes about a millisecond. */
export const SERIES_AT_ONCE = 1_000;

/** Of work on many series: says when it is others' turn. Thousands of tenants have a hundred thousand, and nobody's request waits for all of them. */
export class Turns {
  #left = SERIES_AT_ONCE;

  /** After each series or line. Null: no wait yet. */
  afterOne(): Promise<void> | null {
    this.#left--;
    if (this.#left > 0) return null;
    this.#left = SERIES_AT_ONCE;
    return setImmediate();
  }
}

/** Metrics in Prometheus' text format. */
export function exposition(metrics: Iterable<{ get(): Promise<Measured> }>): Promise<string> {
  return printed(inWords(metrics));
}

/** Each is asked when it is its turn, and its values are read as they are taken. */
export async function* inWords<M extends Measured>(
  metrics: Iterable<{ get(): Promise<M> }>,
): AsyncGenerator<InWords<M>> {
  for (const metric of metrics) {
    const { values, ...about } = await metric.get();
    yield { ...about, series: seriesOf(about.name, values) };
  }
}

/** In Prometheus' text format. */
export async function printed(metrics: AsyncIterable<InWords>): Promise<string> {
  const pieces: string[] = [];
  let lines: string[] = [];
  const turns = new Turns();
  for await (const { name, help, type, series } of metrics) {
    // An empty line between metrics, for people.
    if (pieces.length + lines.length > 0) lines.push('');
    lines.push(`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`);
    for (const [one, value] of series) {
      lines.push(`${one} ${spelt(value)}`);
      const turn = turns.afterOne();
      if (turn === null) continue;
      pieces.push(lines.join('\n'));
      lines = [];
      await turn;
    }
  }
  if (lines.length > 0) pieces.push(lines.join('\n'));
  return `${pieces.join('\n')}\n`;
}

/** The tenant of a series as it is printed; null: it has none. Ids of tenants have nothing in them that is escaped. */
export function tenantOf(series: string): string | null {
  // Within a value the quote would be escaped.
  return /[{,]tenant="([^"]*)"/.exec(series)?.[1] ?? null;
}

function* seriesOf(name: string, values: Measured['values']): Generator<Series> {
  for (const { metricName = name, labels, value } of values)
    yield [`${metricName}${labelled(labels)}`, value];
}

/** Hardly any value has one of these, and looking for all of them at once takes a fraction of replacing each. */
const SPECIAL = /[\\\n"]/;

function labelled(labels: Labels): string {
  let text = '';
  for (const name in labels) {
    const plain = String(labels[name]);
    const value = SPECIAL.test(plain) ? escaped(plain).replaceAll('"', '\\"') : plain;
    text += `${text === '' ? '{' : ','}${name}="${value}"`;
  }
  return text === '' ? '' : `${text}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function spelt(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
