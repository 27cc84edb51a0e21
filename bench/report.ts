/** Tables of results, in Markdown, so that they can go into bench/README.md as they are. */
import { CONTESTANTS } from './contestants.ts';
import { LOADS } from './loads.ts';
import { difference, type LoadRow, median, perRound, type Results, ratio } from './results.ts';

export function report(results: Results): string {
  const parts = [
    `${results.date}, ${results.machine}, Node ${results.node}, ${results.loader}, load average before it began: ${results.loadBefore.toFixed(1)}`,
  ];
  for (const load of LOADS) {
    const rows = results.loads.filter((row) => row.load === load.name);
    if (rows.length > 0) parts.push(loadTable(load.title, load.yardstick, load.streamed, rows));
  }
  if (results.latency.length > 0) parts.push(latencyTable(results));
  if (results.paced.length > 0) parts.push(pacedTable(results));
  return parts.join('\n\n');
}

function loadTable(title: string, yardstick: string, streamed: boolean, rows: readonly LoadRow[]): string {
  const base = rows.find((row) => row.contestant === yardstick)?.cpuMicros;
  const what = streamed ? 'stream' : 'request';
  return (
    table(
      title,
      [
        `CPU µs a ${what}`,
        `ratio to \`${yardstick}\``,
        'lowest to highest',
        `${what}s/s`,
        `reads a ${what}`,
        'RSS MB',
        'failed',
      ],
      rows.map((row) => [
        name(row.contestant),
        number(median(row.cpuMicros)),
        ...withSpread(perRound(row.cpuMicros, base, ratio)),
        number(median(row.perSecond)),
        count(median(row.reads)),
        number(median(row.rssMb)),
        String(row.failed),
      ]),
    ) + variants(rows)
  );
}

/** What Redis, or a thousand tenants, cost beside the same gateway without. */
function variants(rows: readonly LoadRow[]): string {
  const base = rows.find((row) => row.contestant === 'spillway')?.cpuMicros;
  const lines = ['redis', 'tenants'].flatMap((variant) => {
    const row = rows.find((one) => one.contestant === variant);
    if (row === undefined || base === undefined) return [];
    const [middle, spread] = withSpread(perRound(row.cpuMicros, base, ratio));
    return [`\`${variant}\` to \`spillway\`: ${middle} (${spread})`];
  });
  return lines.length === 0 ? '' : `\n\n${lines.join('; ')}`;
}

function latencyTable({ latency }: Results): string {
  const direct = latency.find((row) => row.contestant === 'direct');
  return table(
    'Added latency at 1,000 plain requests a second, open loop: milliseconds beyond the upstream alone',
    ['median', 'lowest to highest', 'p99', 'p99.9', 'failed'],
    latency.map((row) =>
      row === direct
        ? [name(row.contestant), ...[row.p50, [], row.p99, row.p999].map(absolute), String(row.failed)]
        : [
            name(row.contestant),
            ...withSpread(perRound(row.p50, direct?.p50, difference)),
            number(median(perRound(row.p99, direct?.p99, difference))),
            number(median(perRound(row.p999, direct?.p999, difference))),
            String(row.failed),
          ],
    ),
  );
}

function pacedTable({ paced }: Results): string {
  const direct = paced.find((row) => row.contestant === 'direct');
  const base = paced.find((row) => row.contestant === 'http')?.cpuMicros;
  return table(
    'Streams as a model writes them, 100 events 5 ms apart, 50 new ones a second, open loop',
    [
      'CPU µs a stream',
      'ratio to `http`',
      'lowest to highest',
      'reads a stream',
      'first content held back, ms',
      'p99',
      'failed',
    ],
    paced.map((row) =>
      row === direct
        ? [
            name(row.contestant),
            '',
            '',
            '',
            '',
            absolute(row.firstP50),
            absolute(row.firstP99),
            String(row.failed),
          ]
        : [
            name(row.contestant),
            number(median(row.cpuMicros)),
            ...withSpread(perRound(row.cpuMicros, base, ratio)),
            count(median(row.reads)),
            number(median(perRound(row.firstP50, direct?.firstP50, difference))),
            number(median(perRound(row.firstP99, direct?.firstP99, difference))),
            String(row.failed),
          ],
    ),
  );
}

function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [['', ...columns], ['---', ...columns.map(() => '---:')], ...rows];
  return `**${title}**\n\n${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}`;
}

function name(contestant: string): string {
  if (contestant === 'direct') return 'the upstream alone (not a difference)';
  const title = CONTESTANTS.find((one) => one.name === contestant)?.title ?? '';
  return `\`${contestant}\`: ${title}`;
}

function withSpread(values: readonly number[]): [string, string] {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return ['', ''];
  return [number(median(known)), `${number(Math.min(...known))} to ${number(Math.max(...known))}`];
}

function absolute(values: readonly number[]): string {
  return values.length === 0 ? '' : `(${number(median(values))})`;
}

function number(value: number): string {
  if (Number.isNaN(value)) return '';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

/** Nothing where the kernel did not count: nginx reads in another way. */
function count(value: number): string {
  return value === 0 ? '' : number(value);
}

/**
 * By how much the rounds of two runs must lie apart to count as a change. CPU is taken against the yardstick of the
 * same round, so most of the machine's moods are gone from it; memory depends on when Node last collected garbage.
 */
const NOISE = { cpu: 0.05, memory: 0.25 };

/** What changed since an earlier run, beyond the noise. */
export function compare(now: Results, before: Results): string {
  const patience = now.quick || before.quick ? 2 : 1;
  const lines: string[] = [];
  for (const { what, kind, of } of comparisons(now)) {
    const [after, earlier] = [of(now), of(before)];
    if (after.length === 0 || earlier.length === 0) continue;
    const margin = 1 + NOISE[kind] * patience;
    const apart =
      Math.min(...after) > Math.max(...earlier) * margin ||
      Math.max(...after) * margin < Math.min(...earlier);
    if (!apart) continue;
    const change = median(after) / median(earlier) - 1;
    lines.push(
      `- ${what}: ${number(median(earlier))} then, ${number(median(after))} now: ${Math.abs(change * 100).toFixed(0)} % ${change > 0 ? 'more' : 'less'}`,
    );
  }
  const title = `Against the run of ${before.date} (${before.machine})`;
  return `${title}: ${lines.length === 0 ? 'nothing changed beyond the noise' : `\n${lines.join('\n')}`}`;
}

interface Comparison {
  what: string;
  kind: keyof typeof NOISE;
  /** One figure a round; empty if the run did not measure it. */
  of(results: Results): number[];
}

function comparisons({ loads, paced }: Results): Comparison[] {
  const found: Comparison[] = [];
  for (const { load, contestant } of loads) {
    const row = (results: Results, who: string | undefined) =>
      results.loads.find((one) => one.load === load && one.contestant === who);
    const yardstick = LOADS.find((one) => one.name === load)?.yardstick;
    found.push({
      what: `${contestant}, ${load}: CPU against the yardstick`,
      kind: 'cpu',
      of: (results) => ratios(row(results, contestant)?.cpuMicros, row(results, yardstick)?.cpuMicros),
    });
    found.push({
      what: `${contestant}, ${load}: RSS in MB`,
      kind: 'memory',
      of: (results) => row(results, contestant)?.rssMb ?? [],
    });
  }
  for (const { contestant } of paced) {
    const cpu = (results: Results, who: string) =>
      results.paced.find((one) => one.contestant === who)?.cpuMicros;
    found.push({
      what: `${contestant}, paced streams: CPU against the yardstick`,
      kind: 'cpu',
      of: (results) => ratios(cpu(results, contestant), cpu(results, 'http')),
    });
  }
  return found;
}

function ratios(values: number[] = [], yardstick: number[] = []): number[] {
  return perRound(values, yardstick, ratio).filter((value) => !Number.isNaN(value));
}
