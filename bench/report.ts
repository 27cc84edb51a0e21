/** Tables of results, in Markdown, so that they can go into README.md as they are. */
import { inWords, seen } from './figures.ts';
import { goalRows } from './goals.ts';
import { PARTS, type Part } from './parts.ts';
import { DIRECT, type Results } from './results.ts';
import { rowOf } from './rows.ts';

export function report(results: Results): string {
  const { date, machine, node, loader, loadBefore } = results;
  const goals = goalRows(results);
  return [
    `${date}, ${machine}, Node ${node}, ${loader}, load average before it began: ${loadBefore.toFixed(1)}`,
    ...PARTS.flatMap((part) => partTable(results, part) ?? []),
    ...(goals.length === 0 ? [] : [table('The goals', ['bound', 'measured', ''], goals)]),
  ].join('\n\n');
}

function partTable(results: Results, part: Part): string | null {
  const rows = results.measured.filter((one) => one.part === part.name);
  if (rows.length === 0) return null;
  // A column that says nothing of any row of this run is left out.
  const cells = part.columns.map((column) =>
    rows.map(({ row }) => inWords(seen(results, part.name, row, column), column.as)),
  );
  const shown = part.columns.flatMap((column, index) => {
    const texts = cells[index] as string[];
    return texts.some((text) => text !== '') ? [{ title: column.title, texts }] : [];
  });
  return table(
    part.title,
    [...shown.map(({ title }) => title), 'failed'],
    rows.map(({ row, failed }, index) => [
      nameOf(row),
      ...shown.map(({ texts }) => texts[index] as string),
      String(failed),
    ]),
  );
}

function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [['', ...columns], ['---', ...columns.map(() => '---:')], ...rows];
  return `**${title}**\n\n${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}`;
}

function nameOf(row: string): string {
  return row === DIRECT ? 'the upstream alone' : `\`${row}\`: ${rowOf(row)?.title ?? ''}`;
}
