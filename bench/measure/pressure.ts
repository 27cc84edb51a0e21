/**
 * More than can be done: a crowd of one tenant's clients, who ask again at once when they are answered or refused, and another tenant, who asks at a
 * fixed rate. Its model takes as long as the quickest do, for that is what clients wait for: beside it they see what the gateway adds.
 */
import type { Asked } from '../client.ts';
import { question } from '../loads.ts';
import { openLoop } from '../open-loop.ts';
import type { Part, Pressure } from '../parts.ts';
import { type Row, rowOf } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { quantile } from '../statistics.ts';
import { wrongWith } from './check.ts';
import { asked, type Entrant, extentOf, type Plan } from './plan.ts';
import { warmUp } from './warm-up.ts';

/** Requests a second of the other tenant. */
const RATE = 50;

export async function pressureEntrants(plan: Plan, part: Part, how: Pressure): Promise<Entrant[]> {
  const entrants: Entrant[] = [];
  for (const [name, started] of plan.started) {
    const row = rowOf(name) as Row;
    const loud = asked(row, started, false, how.body());
    const other = {
      ...asked(row, started, false, question('chat', { user: 'late' })),
      headers: started.otherHeaders,
    };
    const wrong = (await wrongWith(loud, row.dialect, false)) ?? (await wrongWith(other, row.dialect, false));
    if (wrong === null) entrants.push(pressureEntrant(plan, part, how, { row, started, loud, other }));
    else plan.progress.say(`${part.name}: ${name} left out, ${wrong}`);
  }
  return entrants;
}

interface Asking {
  row: Row;
  started: Started;
  loud: Asked;
  other: Asked;
}

function pressureEntrant(
  plan: Plan,
  part: Part,
  { few, crowd }: Pressure,
  { row, started, loud, other }: Asking,
): Entrant {
  const { seconds, settle } = extentOf(part, plan.quick);
  return {
    row: row.name,
    async warmUp() {
      await warmUp(plan, part, row, started);
      await plan.load(loud, crowd, settle);
    },
    async measure() {
      const served = await plan.load(loud, few, seconds);
      const quiet = await openLoop(other, RATE, seconds);
      const [pressed, meanwhile] = await Promise.all([
        plan.load(loud, crowd, seconds),
        openLoop(other, RATE, seconds),
      ]);
      const answers = (pressed.requests - pressed.refused) / pressed.seconds;
      const answered = answers / ((served.requests - served.refused) / served.seconds);
      const other50 = quantile(meanwhile.latencies, 0.5);
      const other99 = quantile(meanwhile.latencies, 0.99);
      return {
        figures: {
          answered,
          refused: pressed.refused / pressed.seconds,
          other50,
          times50: other50 / quantile(quiet.latencies, 0.5),
          other99,
          times99: other99 / quantile(quiet.latencies, 0.99),
          rss: started.running.usage().rssBytes / 2 ** 20,
        },
        // Refusals are what is asked for here.
        failed: served.failed + quiet.failed + meanwhile.failed,
        note: `${answered.toFixed(2)} of the answers, the other tenant waits ${other50.toFixed(0)} ms`,
      };
    },
  };
}
