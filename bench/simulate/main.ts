/** Simulates fleets of targets, and prints the figures of docs/load-balancing.md; with `--write` it puts them there. */
import { readFileSync, writeFileSync } from 'node:fs';
import { limited, sized, steady, trouble } from './balancing.ts';
import { markdown } from './figures.ts';
import { tails, troubledFirst } from './hedging.ts';
import { movement, warmth } from './sticking.ts';

const PAGE = new URL('../../docs/load-balancing.md', import.meta.url);
const [BEGIN, END] = ['<!-- figures: npm run simulate -- --write -->', '<!-- end of figures -->'];

const SECTIONS = [steady, trouble, limited, sized, tails, troubledFirst, movement, warmth];

const tables: string[] = [];
for (const section of SECTIONS) {
  const table = markdown(await section());
  console.log(`${table}\n`);
  tables.push(table);
}

if (process.argv.includes('--write')) {
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new Error(`${PAGE.pathname} has no place for figures`);
  writeFileSync(PAGE, `${before}${BEGIN}\n\n${tables.join('\n\n')}\n\n${END}${after}`);
}
