/** What changed between two runs, beyond the noise. */
import { type Look, number, seen } from './figures.ts';
import { PARTS, type Part } from './parts.ts';
import type { Results } from './results.ts';
import { chanceOfOrder, leastChance, median } from './statistics.ts';

/**
 * By how much medians must differ at least, whatever the rounds say: those of one run share processes, and two processes of the same
 * code differ by some percent, as Node compiled them. `relative` to the earlier figure, `absolute` in its unit; the larger holds.
 */
interface Noise {
  relative: number;
  absolute: number;
}

const CPU: Noise = { relative: 0.05, absolute: 0 };
/** Depends on when Node last collected garbage. */
const RESIDENT: Noise = { relative: 0.25, absolute: 0 };

/** As they are: next to a yardstick its own wobbling would come on top. Node settles in a state that differs by up to a tenth from one process to the next. */
const INSTRUCTIONS: Noise = { relative: 0.1, absolute: 0 };

/** By figure and how it is looked at. What is not here is not compared: it belongs to the machine, or is never the same twice. */
const NOISE: Readonly<Record<string, Noise>> = {
  'cpu ratio': CPU,
  'cpu variant': CPU,
  'instructions value': INSTRUCTIONS,
  'rss value': RESIDENT,
  'p50 added': { relative: 0.2, absolute: 0.05 },
  'p99 added': { relative: 0.5, absolute: 0.5 },
  'first50 added': { relative: 0.2, absolute: 0.05 },
  'streamRss ratio': RESIDENT,
  'streamHeap ratio': { relative: 0.1, absolute: 0 },
};

/** How likely the rounds of two runs may lie as they do by chance alone, and still be called a change. */
const CHANCE = 0.01;

export function compare(now: Results, before: Results): string {
  const changes: string[] = [];
  let compared = 0;
  for (const { part, row, look, title } of looks(now)) {
    const [after, earlier] = [seen(now, part.name, row, look), seen(before, part.name, row, look)];
    if (after.length === 0 || earlier.length === 0) continue;
    compared++;
    if (!differs(after, earlier, look, now.quick || before.quick ? 2 : 1)) continue;
    const [was, is] = [median(earlier), median(after)];
    const percent = was > 0 && is > 0 ? `: ${number(100 * Math.abs(is / was - 1))} %` : ':';
    changes.push(
      `- ${row}, ${part.name}, ${title}: ${number(was)} then, ${number(is)} now${percent} ${is > was ? 'more' : 'less'}`,
    );
  }
  const lines = [
    `Against the run of ${before.date}: ${changes.length} of ${compared} figures changed beyond the noise`,
    ...strange(now, before),
    ...changes,
  ];
  return lines.join('\n');
}

function* looks({ measured }: Results): Generator<{ part: Part; row: string; look: Look; title: string }> {
  for (const { part: name, row } of measured) {
    const part = PARTS.find((one) => one.name === name) as Part;
    for (const column of part.columns) {
      if (noiseOf(column) === undefined) continue;
      // The yardstick is always itself.
      if (column.as === 'ratio' && part.yardstick === row) continue;
      yield { part, row, look: column, title: `${column.title} (${column.figure})` };
    }
  }
}

function noiseOf({ figure, as }: Look): Noise | undefined {
  return NOISE[`${figure} ${as}`];
}

/** `patience`: how many times the noise of a full run. */
export function differs(
  after: readonly number[],
  earlier: readonly number[],
  look: Look,
  patience: number,
): boolean {
  const { relative, absolute } = noiseOf(look) ?? { relative: Number.POSITIVE_INFINITY, absolute: 0 };
  const was = median(earlier);
  const least = Math.max(relative * Math.abs(was), absolute) * patience;
  if (Math.abs(median(after) - was) <= least) return false;
  // Few rounds cannot be surer than this: then all of one run must lie beyond all of the other.
  const surest = leastChance(after.length, earlier.length);
  return chanceOfOrder(after, earlier) <= Math.max(CHANCE, surest);
}

/** Why the two may not be comparable at all. */
function strange(now: Results, before: Results): string[] {
  const others = (['machine', 'node', 'loader'] as const).filter((name) => now[name] !== before[name]);
  // Beyond one for each core, rounds depend on what else runs more than on what is measured.
  const busy = Math.max(now.loadBefore, before.loadBefore) > Math.max(now.cores, before.cores);
  return [
    ...others.map((name) => `(another ${name}: ${before[name]} then, ${now[name]} now)`),
    ...(busy ? ['(the machine was busy with something else: do not believe what follows)'] : []),
  ];
}
