/** CPU, requests a second and memory while a number of connections ask as fast as they are answered. */
import type { Closed, Part } from '../parts.ts';
import type { Usage } from '../process.ts';
import { type Row, rowOf } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { wrongWith } from './check.ts';
import { asked, type Entrant, extentOf, type Plan } from './plan.ts';
import { warmUp } from './warm-up.ts';

export async function closedEntrants(plan: Plan, part: Part, how: Closed): Promise<Entrant[]> {
  const entrants: Entrant[] = [];
  for (const [name, started] of plan.started) {
    const row = rowOf(name) as Row;
    const question = asked(row, started, how.streamed, how.body(row.dialect));
    const wrong = await wrongWith(question, row.dialect, how.streamed);
    if (wrong === null) entrants.push(closedEntrant(plan, part, how, row, started));
    else plan.progress.say(`${part.name}: ${name} left out, ${wrong}`);
  }
  return entrants;
}

function closedEntrant(plan: Plan, part: Part, how: Closed, row: Row, started: Started): Entrant {
  const { running } = started;
  const { seconds, settle } = extentOf(part, plan.quick);
  const question = asked(row, started, how.streamed, how.body(row.dialect));
  return {
    row: row.name,
    async warmUp() {
      await warmUp(plan, part, row, started);
      if (settle > 0) await plan.load(question, how.connections, settle);
    },
    async measure() {
      const counted = await plan.count?.(running.pids());
      const before = running.usage();
      const result = await plan.load(question, how.connections, seconds);
      const after = running.usage();
      const { cpu, reads } = perRequest(before, after, result.requests);
      const perSecond = result.requests / result.seconds;
      const found = { cpu, reads, perSecond, rss: after.rssBytes / 2 ** 20 };
      return {
        figures:
          counted === undefined
            ? found
            : { ...found, instructions: (await counted()) / 1000 / (result.requests || Number.NaN) },
        failed: result.failed,
        note: `${cpu.toFixed(1)} µs`,
      };
    },
  };
}

/** CPU in µs. */
export function perRequest(before: Usage, after: Usage, requests: number): { cpu: number; reads: number } {
  if (requests === 0) return { cpu: Number.NaN, reads: Number.NaN };
  return {
    cpu: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / requests,
    reads: (after.reads - before.reads) / requests,
  };
}
