import type { Asked } from '../client.ts';
import { question } from '../loads.ts';
import type { Part } from '../parts.ts';
import type { Row } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { asked, askedDirectly, extentOf, type Plan } from './plan.ts';

const CONNECTIONS = 32;

type Loading = Pick<Plan, 'load' | 'quick'>;

/**
 * Node needs tens of thousands of requests to reach its speed, and a part's own load may bring so many in an hour. Each row therefore begins each part in processes
 * of its own, and with the same seconds of short requests, or streams, as fast as they are answered: whatever else is measured in that run.
 */
export function warmUp(plan: Loading, part: Part, row: Row, started: Started): Promise<void> {
  const streamed = hasStreams(part);
  const wanted = asked(row, started, streamed, question(row.dialect, streamed ? { stream: true } : {}));
  return under(plan, part, wanted, row.processes);
}

/** The same for the upstream alone. */
export function warmUpDirectly(plan: Plan, part: Part): Promise<void> {
  const wanted = askedDirectly(plan, question('chat', hasStreams(part) ? { stream: true } : {}));
  return under(plan, part, wanted, 1);
}

/** As much for each process. */
async function under(plan: Loading, part: Part, wanted: Asked, processes: number): Promise<void> {
  await plan.load(wanted, CONNECTIONS * processes, extentOf(part, plan.quick).warmUp * processes);
}

function hasStreams({ how }: Part): boolean {
  return how.kind === 'paced' || how.kind === 'open' || (how.kind === 'closed' && how.streamed);
}
