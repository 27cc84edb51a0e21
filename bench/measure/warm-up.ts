import type { Asked } from '../client.ts';
import { question } from '../loads.ts';
import type { Part } from '../parts.ts';
import { DIRECT } from '../results.ts';
import type { Row } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { asked, askedDirectly, extentOf, type Plan } from './plan.ts';

const CONNECTIONS = 32;
/** For each process. Whoever is not warm by then is measured as it is, and that is said. */
const MOST_SECONDS = 40;

type Loading = Pick<Plan, 'load' | 'quick' | 'progress'>;

/**
 * Node needs tens of thousands of requests to reach its speed, and a part's own load may bring so many in an hour. Each row therefore begins each part in processes
 * of its own, and with as many short requests, or streams, as fast as they are answered: whatever else is measured in that run. Not with as many seconds, which would
 * leave a row colder the slower it is, and all of them on a slow machine.
 */
export function warmUp(plan: Loading, part: Part, row: Row, started: Started): Promise<void> {
  const streamed = hasStreams(part);
  const wanted = asked(row, started, streamed, question(row.dialect, streamed ? { stream: true } : {}));
  return under(plan, part, row.name, wanted, row.processes);
}

/** The same for the upstream alone. */
export function warmUpDirectly(plan: Plan, part: Part): Promise<void> {
  const wanted = askedDirectly(plan, question('chat', hasStreams(part) ? { stream: true } : {}));
  return under(plan, part, DIRECT, wanted, 1);
}

/** As much for each process, and up to a second more: the loader goes by seconds. */
async function under(
  plan: Loading,
  part: Part,
  name: string,
  wanted: Asked,
  processes: number,
): Promise<void> {
  const enough = extentOf(part, plan.quick).warmUp * processes;
  const most = MOST_SECONDS * processes;
  let answered = 0;
  for (let second = 0; answered < enough && second < most; second++) {
    answered += (await plan.load(wanted, CONNECTIONS * processes, 1)).requests;
  }
  if (answered < enough)
    plan.progress.say(`${part.name}: ${name} is not warm, ${answered} of ${enough} in ${most} s`);
}

function hasStreams({ how }: Part): boolean {
  return how.kind === 'paced' || how.kind === 'open' || (how.kind === 'closed' && how.streamed);
}
