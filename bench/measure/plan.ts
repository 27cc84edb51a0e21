import type { Asked } from '../client.ts';
import type { Loader } from '../closed-loop.ts';
import type { Counting } from '../instructions.ts';
import { PATHS } from '../loads.ts';
import type { Extent, Figure, Part } from '../parts.ts';
import type { Progress } from '../progress.ts';
import type { Measured } from '../results.ts';
import type { Row } from '../rows.ts';
import type { Started } from '../start/start.ts';

/** What measuring needs to know. */
export interface Plan {
  /** By the row's name. One that ends by itself is taken out. */
  started: Map<string, Started>;
  /** The upstream's own address, for what is measured without a gateway. */
  direct: string;
  scratch: string;
  quick: boolean;
  load: Loader;
  /** Null where there is no `perf`. */
  count: ((pids: readonly number[]) => Promise<Counting>) | null;
  progress: Progress;
}

/** What one round found of a row. */
export interface Sample {
  figures: Partial<Record<Figure, number>>;
  failed: number;
  /** For the progress: what was found, in few words. */
  note: string;
}

/** A row, or the upstream alone, in one part. */
export interface Entrant {
  row: string;
  warmUp(): Promise<void>;
  measure(): Promise<Sample>;
  /** After its last round, or when it takes no further part: ends what it started for itself. */
  end?(): Promise<void>;
}

export function extentOf(part: Part, quick: boolean): Extent {
  return quick ? part.quick : part.full;
}

/**
 * Rounds are interleaved, and every second one runs backwards: A B C, C B A ... What makes the machine slower for a while, or for good, then
 * favours nobody. An entrant whose process has ended, or who throws, takes no further part.
 */
export async function inTurn(plan: Plan, part: Part, entrants: readonly Entrant[]): Promise<Measured[]> {
  const found = new Map<string, Measured>();
  const { progress } = plan;
  let going = [...entrants];
  const attempt = async (entrant: Entrant, what: () => Promise<void>) => {
    try {
      await what();
      if (!hasEnded(plan, entrant.row)) return;
    } catch (error) {
      progress.say(`${part.name}: no more of ${entrant.row}: ${(error as Error).message}`);
    }
    going = going.filter((one) => one !== entrant);
    await entrant.end?.();
  };
  for (const entrant of entrants) await attempt(entrant, () => entrant.warmUp());
  const { rounds } = extentOf(part, plan.quick);
  for (let round = 1; round <= rounds; round++) {
    for (const entrant of round % 2 === 1 ? [...going] : going.toReversed()) {
      await attempt(entrant, async () => {
        const sample = await entrant.measure();
        const { row } = entrant;
        const measured = found.get(row) ?? { part: part.name, row, figures: {}, failed: 0 };
        found.set(row, measured);
        add(measured, sample);
        plan.started.get(row)?.running.emptyLog();
        const failed = sample.failed > 0 ? `, ${sample.failed} failed` : '';
        progress.step(`${part.name} ${round}/${rounds}: ${row} ${sample.note}${failed}`);
      });
    }
  }
  await Promise.all(going.map((entrant) => entrant.end?.()));
  return entrants.flatMap(({ row }) => found.get(row) ?? []);
}

function add(measured: Measured, { figures, failed }: Sample): void {
  measured.failed += failed;
  for (const [name, value] of Object.entries(figures)) {
    const figure = name as Figure;
    const values = measured.figures[figure] ?? [];
    values.push(value);
    measured.figures[figure] = values;
  }
}

function hasEnded(plan: Plan, name: string): boolean {
  const running = plan.started.get(name)?.running;
  if (running === undefined || !running.ended) return false;
  plan.progress.say(`${name} has ended, no more of it: ${running.log.slice(-500)}`);
  plan.started.delete(name);
  return true;
}

/** What is asked of a row. */
export function asked(row: Row, started: Started, streamed: boolean, body: Buffer): Asked {
  return { url: started.url(row.dialect, streamed), headers: started.headers, body };
}

/** The upstream itself, without a gateway. */
export function askedDirectly({ direct }: Plan, body: Buffer): Asked {
  return { url: direct + PATHS.chat, headers: {}, body };
}
