/** What was asked for on the command line. */
import { parseArgs } from 'node:util';
import { PARTS, type PartName } from './parts.ts';
import { ROWS, type Row, rowOf } from './rows.ts';

export interface Options {
  quick: boolean;
  /** How often each part is measured with processes begun anew. */
  starts: number;
  only: readonly string[];
  json: string | null;
  against: string | null;
  profile: { row: Row; part: PartName; directory: string } | null;
}

const PART_NAMES: readonly string[] = PARTS.map(({ name }) => name);
const ROW_NAMES: readonly string[] = ROWS.map(({ name }) => name);
/** Of whose load there is no profile. */
const UNPROFILED: readonly PartName[] = ['open', 'start', 'body-20m', 'image-20m'];

export const HELP = `Usage: npm run bench -- [options]
  --quick           fewer rows and parts, fewer and shorter rounds: some two minutes where the machine has nothing else to do,
                    for a first look
  --only a,b        of the rows (${ROW_NAMES.join(' ')})
                    and parts (${PART_NAMES.join(' ')}) only these;
                    ratios need their yardsticks (http for streams, fastify for the rest)
  --starts N        measure each part N times, with new processes each time: Node compiles the same code
                    differently from one process to the next
  --json FILE       write what was found
  --against FILE    say what changed since then, beyond the noise
  --profile ROW:PART DIRECTORY
                    measure nothing: write a CPU profile of that row under that part's load, and a flame graph of it
`;

/** Null for --help; throws an Error that says what is wrong. */
export function readOptions(args: readonly string[]): Options | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      starts: { type: 'string', default: '1' },
      only: { type: 'string' },
      json: { type: 'string' },
      against: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const expected = values.profile === undefined ? 0 : 1;
  if (positionals.length !== expected)
    throw new Error(expected === 1 ? '--profile needs a directory' : `what is ${positionals[0]}?`);
  return {
    quick: values.quick,
    starts: readStarts(values.starts),
    only: values.only === undefined ? [] : readNames(values.only),
    json: values.json ?? null,
    against: values.against ?? null,
    profile: values.profile === undefined ? null : readProfile(values.profile, positionals[0] as string),
  };
}

function readStarts(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new Error(`--starts: expected 1 to 99, found ${text}`);
  return Number(text);
}

/** Of rows and parts, with commas or spaces between them. */
function readNames(text: string): string[] {
  const names = text.split(/[\s,]+/).filter(Boolean);
  const isKnown = (name: string) => PART_NAMES.includes(name) || ROW_NAMES.includes(name);
  const known = `rows are ${ROW_NAMES.join(', ')}; parts are ${PART_NAMES.join(', ')}`;
  if (names.length === 0) throw new Error(`--only names nothing: ${known}`);
  const unknown = names.filter((name) => !isKnown(name));
  if (unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(', ')}: ${known}`);
  return names;
}

function readProfile(text: string, directory: string): Options['profile'] {
  const [name = '', partName = ''] = text.split(':');
  const row = rowOf(name);
  const part = PARTS.find((one) => one.name === partName)?.name;
  if (row === undefined || part === undefined || UNPROFILED.includes(part))
    throw new Error(`--profile: expected ROW:PART, such as spillway:plain, found ${text}`);
  return { row, part, directory };
}

/** Which rows are measured in which parts: what --only leaves, of what there is time for. What is named is measured, usual or not. */
export function chosen({ only, quick }: Pick<Options, 'only' | 'quick'>): Map<PartName, Row[]> {
  const namesRows = only.some((name) => ROW_NAMES.includes(name));
  const namesParts = only.some((name) => PART_NAMES.includes(name));
  const found = new Map<PartName, Row[]>();
  for (const { name: part } of PARTS) {
    if (namesParts && !only.includes(part)) continue;
    const rows = ROWS.filter((row) => {
      if (namesRows && !only.includes(row.name)) return false;
      if (namesRows && namesParts) return true;
      const usual = quick && !namesRows && !namesParts ? row.quick : row.parts;
      return usual.includes(part);
    });
    if (rows.length > 0) found.set(part, rows);
  }
  return found;
}
