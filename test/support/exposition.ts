/** Reads what Prometheus would read, and says what it, or its linter, would find wrong with it. */

export interface Series {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface Exposition {
  /** By the metric's name: without `_bucket`, `_sum` and `_count` for a histogram. */
  metrics: ReadonlyMap<string, { type: string; help: string; series: readonly Series[] }>;
  problems: readonly string[];
}

const SERIES = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;

export function readExposition(text: string): Exposition {
  const metrics = new Map<string, { type: string; help: string; series: Series[] }>();
  const problems: string[] = [];
  const seen = new Set<string>();
  let current = '';
  if (!text.endsWith('\n')) problems.push('the last line has no end');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? [];
    if (word === 'HELP') {
      if (metrics.has(name)) problems.push(`${name} stands twice`);
      if (rest.trim() === '') problems.push(`${name} has no help`);
      metrics.set(name, { type: '', help: rest, series: [] });
      current = name;
    } else if (word === 'TYPE') {
      const metric = metrics.get(name);
      if (metric === undefined || name !== current)
        problems.push(`the type of ${name} has no help before it`);
      else metric.type = rest;
    } else if (line.startsWith('#')) continue;
    else readSeries(line);
  }
  for (const [name, metric] of metrics) lint(name, metric, problems);
  return { metrics, problems };

  function readSeries(line: string): void {
    const [, name = '', labelText = '', valueText = ''] = SERIES.exec(line) ?? [];
    const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText);
    // Go's ParseFloat reads it, in whatever letters.
    if (name === '' || (Number.isNaN(value) && !/^nan$/i.test(valueText))) {
      problems.push(`cannot read: ${line}`);
      return;
    }
    const labels = readLabels(labelText, line);
    const identity = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(identity)) problems.push(`stands twice: ${line}`);
    seen.add(identity);
    const metric = metrics.get(current);
    const belongs = name === current || (metric?.type === 'histogram' && /_(bucket|sum|count)$/.test(name));
    if (metric === undefined || !belongs) problems.push(`belongs to no metric: ${line}`);
    else metric.series.push({ name, labels, value });
  }

  function readLabels(text: string, line: string): Record<string, string> {
    const labels: Record<string, string> = {};
    let rest = text;
    while (rest !== '') {
      const found = LABEL.exec(rest);
      if (found === null) {
        problems.push(`cannot read the labels of: ${line}`);
        break;
      }
      const [whole, name = '', value = ''] = found;
      if (name in labels) problems.push(`a label stands twice: ${line}`);
      labels[name] = value;
      rest = rest.slice(whole.length);
    }
    return labels;
  }
}

/** Words of units that the base unit has to be used for. */
const NO_BASE_UNIT = /_(milliseconds|microseconds|ms|minutes|hours|kilobytes|kb|mb|percent)(_|$)/;

function lint(name: string, { type, series }: { type: string; series: Series[] }, problems: string[]): void {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) problems.push(`${name}: not in small letters with _ between`);
  if (!['counter', 'gauge', 'histogram'].includes(type)) problems.push(`${name}: type ${type || 'missing'}`);
  if (type === 'counter' && !name.endsWith('_total')) problems.push(`${name}: a counter without _total`);
  if (type !== 'counter' && name.endsWith('_total')) problems.push(`${name}: _total, but no counter`);
  if (type !== 'histogram' && /_(bucket|sum|count)$/.test(name))
    problems.push(`${name}: named like a histogram`);
  if (NO_BASE_UNIT.test(name)) problems.push(`${name}: not in a base unit`);
  const shapes = new Set(
    series.map(({ labels }) =>
      Object.keys(labels)
        .filter((label) => label !== 'le')
        .sort()
        .join(),
    ),
  );
  if (shapes.size > 1) problems.push(`${name}: series with different labels: ${[...shapes].join(' and ')}`);
  if (type === 'histogram') lintHistogram(name, series, problems);
}

/** Buckets rise to +Inf, which is the count. */
function lintHistogram(name: string, series: readonly Series[], problems: string[]): void {
  const groups = new Map<string, Series[]>();
  for (const one of series) {
    const { le: _, ...labels } = one.labels;
    const key = JSON.stringify(labels);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  for (const [key, group] of groups) {
    const buckets = group.filter((one) => one.name === `${name}_bucket`);
    const count = group.find((one) => one.name === `${name}_count`);
    const sum = group.find((one) => one.name === `${name}_sum`);
    if (count === undefined || sum === undefined) problems.push(`${name}${key}: no count or no sum`);
    const bounds = buckets.map(({ labels }) => (labels['le'] === '+Inf' ? Infinity : Number(labels['le'])));
    const rises = (values: readonly number[]) =>
      values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0));
    if (!rises(bounds) || bounds.at(-1) !== Infinity)
      problems.push(`${name}${key}: buckets do not rise to +Inf`);
    if (!rises(buckets.map(({ value }) => value))) problems.push(`${name}${key}: counts fall`);
    if (buckets.at(-1)?.value !== count?.value) problems.push(`${name}${key}: +Inf is not the count`);
  }
}
