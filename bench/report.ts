/** Tables of results, in Markdown, so that they can go into bench/README.md as they are. */
import { CONTESTANTS } from './contestants.ts';
import { LOADS } from './loads.ts';
import { difference, type LoadRow, median, perRound, type Results, ratio } from './results.ts';

export function report(results: Results): string {
  const parts = [`${results.date}, ${results.machine}, Node ${results.node}, ${results.loader}`];
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
  return table(
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
      number(median(row.reads)),
      number(median(row.rssMb)),
      String(row.failed),
    ]),
  );
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
            number(median(row.reads)),
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
  if (values.every(Number.isNaN)) return ['', ''];
  return [number(median(values)), `${number(Math.min(...values))} to ${number(Math.max(...values))}`];
}

function absolute(values: readonly number[]): string {
  return values.length === 0 ? '' : `(${number(median(values))})`;
}

function number(value: number): string {
  if (Number.isNaN(value)) return '';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

/** Closer than this is the same, however quiet the machine was. */
const NOISE = 0.03;

/** What changed since an earlier run: ratios only, and only where the rounds of the two do not overlap. */
export function compare(now: Results, before: Results): string {
  const lines: string[] = [];
  for (const { what, row, find } of comparisons(now)) {
    const earlier = find(before);
    if (earlier === undefined || row.length === 0 || earlier.length === 0) continue;
    const change = median(row) / median(earlier) - 1;
    const apart = Math.min(...row) > Math.max(...earlier) || Math.max(...row) < Math.min(...earlier);
    if (!apart || Math.abs(change) < NOISE) continue;
    const direction = change > 0 ? 'more' : 'less';
    lines.push(
      `- ${what}: ${number(median(earlier))} then, ${number(median(row))} now: ${Math.abs(change * 100).toFixed(0)} % ${direction}`,
    );
  }
  const title = `Against the run of ${before.date} (${before.machine})`;
  return `${title}: ${lines.length === 0 ? 'nothing changed beyond the noise' : `\n${lines.join('\n')}`}`;
}

interface Comparison {
  what: string;
  row: number[];
  find(in_: Results): number[] | undefined;
}

function comparisons(now: Results): Comparison[] {
  const found: Comparison[] = [];
  for (const { load, contestant } of now.loads) {
    const cpu = (results: Results) => {
      const of = (who?: string) =>
        results.loads.find((row) => row.load === load && row.contestant === who)?.cpuMicros;
      return usable(of(contestant), of(LOADS.find((one) => one.name === load)?.yardstick));
    };
    found.push({ what: `${contestant}, ${load}: CPU against the yardstick`, row: cpu(now) ?? [], find: cpu });
    const memory = (results: Results) =>
      results.loads.find((row) => row.load === load && row.contestant === contestant)?.rssMb;
    found.push({ what: `${contestant}, ${load}: RSS in MB`, row: memory(now) ?? [], find: memory });
  }
  for (const { contestant } of now.paced) {
    const cpu = (results: Results) => {
      const of = (who: string) => results.paced.find((row) => row.contestant === who)?.cpuMicros;
      return usable(of(contestant), of('http'));
    };
    found.push({
      what: `${contestant}, paced streams: CPU against the yardstick`,
      row: cpu(now) ?? [],
      find: cpu,
    });
  }
  return found;
}

function usable(values: number[] | undefined, yardstick: number[] | undefined): number[] | undefined {
  const ratios = perRound(values ?? [], yardstick, ratio).filter((value) => !Number.isNaN(value));
  return ratios.length === 0 ? undefined : ratios;
}
