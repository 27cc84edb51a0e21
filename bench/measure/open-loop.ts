/** What a request, or the first content of a stream, waits for at a fixed rate. */
import type { Asked } from '../client.ts';
import { question } from '../loads.ts';
import { openLoop } from '../open-loop.ts';
import type { Part } from '../parts.ts';
import { DIRECT } from '../results.ts';
import { type Row, rowOf } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { quantile } from '../statistics.ts';
import { wrongWith } from './check.ts';
import { perRequest } from './closed.ts';
import { asked, askedDirectly, type Entrant, extentOf, type Plan } from './plan.ts';
import { warmUp, warmUpDirectly } from './warm-up.ts';

export const LATENCY_RATE = 1000;
export const PACED_RATE = 50;

const PLAIN = question('chat');
/** Streams whose events come apart. */
export const PACED = question('chat', { stream: true, user: 'paced' });

/** The upstream alone, and all that speak as these loads do. */
export async function openLoopEntrants(
  plan: Plan,
  part: Part,
  kind: 'latency' | 'paced',
): Promise<Entrant[]> {
  const entrantOf = kind === 'latency' ? latencyEntrant : pacedEntrant;
  const direct = {
    row: DIRECT,
    wanted: askedDirectly(plan, bodyFor(kind)),
    warm: () => warmUpDirectly(plan, part),
  };
  const entrants = [entrantOf(plan, part, direct)];
  for (const [name, started] of plan.started) {
    const row = rowOf(name) as Row;
    const wanted = asked(row, started, kind === 'paced', bodyFor(kind));
    const wrong =
      row.dialect === 'chat'
        ? await wrongWith(wanted, row.dialect, kind === 'paced')
        : 'its clients do not speak chat';
    const warm = () => warmUp(plan, part, row, started);
    if (wrong === null) entrants.push(entrantOf(plan, part, { row: name, wanted, warm, started }));
    else plan.progress.say(`${part.name}: ${name} left out, ${wrong}`);
  }
  return entrants;
}

function bodyFor(kind: 'latency' | 'paced'): Buffer {
  return kind === 'latency' ? PLAIN : PACED;
}

interface Asker {
  row: string;
  wanted: Asked;
  warm(): Promise<void>;
  /** Absent for the upstream, which is not measured. */
  started?: Started;
}

function latencyEntrant(plan: Plan, part: Part, { row, wanted, warm }: Asker): Entrant {
  const { seconds, settle } = extentOf(part, plan.quick);
  return {
    row,
    async warmUp() {
      await warm();
      await openLoop(wanted, LATENCY_RATE, settle);
    },
    async measure() {
      const { latencies, failed, latenessP99 } = await openLoop(wanted, LATENCY_RATE, seconds);
      const p50 = quantile(latencies, 0.5);
      return {
        figures: { p50, p99: quantile(latencies, 0.99), p999: quantile(latencies, 0.999) },
        failed,
        note: `${p50.toFixed(2)} ms (loader late by ${latenessP99.toFixed(1)} ms at p99)`,
      };
    },
  };
}

function pacedEntrant(plan: Plan, part: Part, { row, wanted, warm, started }: Asker): Entrant {
  const { seconds, settle } = extentOf(part, plan.quick);
  return {
    row,
    async warmUp() {
      await warm();
      await openLoop(wanted, PACED_RATE, settle);
    },
    async measure() {
      const before = started?.running.usage();
      const { firstContent, failed } = await openLoop(wanted, PACED_RATE, seconds);
      const after = started?.running.usage();
      const first50 = quantile(firstContent, 0.5);
      const spent =
        before === undefined || after === undefined
          ? {}
          : perRequest(before, after, Math.floor(PACED_RATE * seconds));
      return {
        figures: { ...spent, first50, first99: quantile(firstContent, 0.99) },
        failed,
        note: `${first50.toFixed(2)} ms`,
      };
    },
  };
}
