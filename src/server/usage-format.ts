import { FIGURE_NAMES, type UsageQuery, type UsageReport } from '../pipeline/usage-report.ts';

/** Enough to be worth a write to a socket. Characters. */
const PIECE = 65_536;

/** The whole answer, piece by piece. Figures are numbers, written with all their digits. */
export function* asJson({ days, by }: UsageQuery, { rows, total }: UsageReport): Generator<string> {
  const [from, to] = [days[0], days.at(-1)];
  const head = JSON.stringify({ from, to, by }).slice(0, -1);
  let text = `${head},"rows":[`;
  for (const [i, { group, figures }] of rows.entries()) {
    const fields = by.map((name, n) => `"${name}":${JSON.stringify(group[n])}`);
    text += `${i === 0 ? '' : ','}{${[...fields, ...named(figures)].join(',')}}`;
    if (text.length < PIECE) continue;
    yield text;
    text = '';
  }
  yield `${text}],"total":{${named(total).join(',')}}}`;
}

function named(figures: readonly string[]): string[] {
  return FIGURE_NAMES.map((name, i) => `"${name}":${figures[i]}`);
}

/** RFC 4180: a header and a record for each row. No total, which a spreadsheet would add to the rest. */
export function* asCsv({ by }: UsageQuery, { rows }: UsageReport): Generator<string> {
  let text = record([...by, ...FIGURE_NAMES]);
  for (const { group, figures } of rows) {
    text += record([...group.map(harmless), ...figures]);
    if (text.length < PIECE) continue;
    yield text;
    text = '';
  }
  yield text;
}

function record(cells: readonly string[]): string {
  const quoted = cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell));
  return `${quoted.join(',')}\r\n`;
}

/**
 * A spreadsheet takes a text that begins so for a formula, and runs it: an apostrophe says that it is none. The lone `-` of rows
 * without a key or a target is none, and stays as it is.
 */
function harmless(text: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(text) && text !== '-' ? `'${text}` : text;
}
