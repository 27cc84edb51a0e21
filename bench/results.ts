/** What a run found, as it is written with --json and read with --against. */
import type { Figure, PartName } from './parts.ts';

/** Files of other formats are not compared with. */
const FORMAT = 2;

/** The row that is no gateway: the upstream, asked directly. */
export const DIRECT = 'direct';

/** What was found of a row in a part. Lists hold one figure for each round; NaN where it has none. */
export interface Measured {
  part: PartName;
  row: string;
  figures: Partial<Record<Figure, number[]>>;
  failed: number;
}

export interface Results {
  format: typeof FORMAT;
  date: string;
  machine: string;
  cores: number;
  node: string;
  loader: string;
  /** Processes that wanted to run in the minute before: how busy the machine was with other things. */
  loadBefore: number;
  quick: boolean;
  measured: Measured[];
}

export function emptyResults(about: Omit<Results, 'format' | 'measured'>): Results {
  return { format: FORMAT, ...about, measured: [] };
}

/** Further rounds: behind those that a row has in a part. */
export function addTo({ measured }: Results, more: readonly Measured[]): void {
  for (const one of more) {
    const earlier = measured.find(({ part, row }) => part === one.part && row === one.row);
    if (earlier === undefined) {
      measured.push(one);
      continue;
    }
    earlier.failed += one.failed;
    for (const [name, rounds] of Object.entries(one.figures)) {
      const figure = name as Figure;
      earlier.figures[figure] = [...(earlier.figures[figure] ?? []), ...rounds];
    }
  }
}

/** What --json wrote. JSON has no NaN: there it is null. Throws an Error that says what is wrong with it. */
export function readResults(json: string): Results {
  let read: Partial<Results>;
  try {
    read = JSON.parse(json, (_key, value: unknown) => (value === null ? Number.NaN : value));
  } catch {
    throw new Error('it is not whole, or no JSON');
  }
  if (read.format === undefined) throw new Error('it holds no figures of the bench');
  if (read.format !== FORMAT) throw new Error('it was written by another version of the bench');
  const { measured } = read;
  if (!Array.isArray(measured) || !measured.every(isMeasured)) throw new Error('its figures cannot be read');
  return read as Results;
}

function isMeasured(one: Partial<Measured> | undefined): one is Measured {
  const { part, row, figures } = one ?? {};
  if (typeof part !== 'string' || typeof row !== 'string' || typeof figures !== 'object') return false;
  return Object.values(figures).every(
    (rounds) => Array.isArray(rounds) && rounds.every((round) => typeof round === 'number'),
  );
}

/** Empty if the run did not measure it. */
export function valuesOf({ measured }: Results, part: PartName, row: string, figure: Figure): number[] {
  return measured.find((one) => one.part === part && one.row === row)?.figures[figure] ?? [];
}
