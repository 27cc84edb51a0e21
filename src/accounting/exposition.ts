import { setImmediate } from 'node:timers/promises';

/** What a metric is asked for. */
interface Printable {
  get(): Promise<{
    name: string;
    help: string;
    type: string;
    values: Iterable<{ metricName?: string; labels: Labels; value: number }>;
  }>;
}

type Labels = Readonly<Record<string, string | number>>;

/** Lines that are printed before requests get their turn: about a millisecond. */
const LINES_AT_ONCE = 1_000;

/** Metrics in Prometheus' text format. Thousands of tenants have a hundred thousand lines, and nobody's request waits for all of them. */
export async function exposition(metrics: Iterable<Printable>): Promise<string> {
  const printed: string[] = [];
  let lines: string[] = [];
  for (const metric of metrics) {
    const { name, help, type, values } = await metric.get();
    // An empty line between metrics, for people.
    if (printed.length + lines.length > 0) lines.push('');
    lines.push(`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`);
    for (const { metricName = name, labels, value } of values) {
      lines.push(`${metricName}${labelled(labels)} ${spelt(value)}`);
      if (lines.length < LINES_AT_ONCE) continue;
      printed.push(lines.join('\n'));
      lines = [];
      await setImmediate();
    }
  }
  if (lines.length > 0) printed.push(lines.join('\n'));
  return `${printed.join('\n')}\n`;
}

function labelled(labels: Labels): string {
  const texts: string[] = [];
  for (const name in labels) texts.push(`${name}="${escaped(String(labels[name])).replaceAll('"', '\\"')}"`);
  return texts.length === 0 ? '' : `{${texts.join(',')}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function spelt(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
