/**
 * More than can be done: a crowd of one tenant's clients, who ask again when they are answered or refused, at once or after a pause, and another tenant, who asks at a
 * fixed rate. Its model takes as long as the quickest do, for that is what clients wait for: beside it they see what the gateway adds. And it is a provider
 * of its own, in whose line the crowd does not stand.
 */
import type { Asked } from '../client.ts';
import { question } from '../loads.ts';
import { openLoop } from '../open-loop.ts';
import type { Part, Pressure } from '../parts.ts';
import type { Running } from '../process.ts';
import { type Row, rowOf } from '../rows.ts';
import { startStandIn } from '../stage.ts';
import type { Started } from '../start/start.ts';
import { quantile } from '../statistics.ts';
import { wrongWith } from './check.ts';
import { perRequest } from './closed.ts';
import { asked, type Entrant, extentOf, type Plan } from './plan.ts';
import { warmUp } from './warm-up.ts';

/** Seconds. */
const CALMING = 2;
/** Requests a second of the other tenant. */
const RATE = 50;

export function pressureEntrants(plan: Plan, part: Part, how: Pressure, names: readonly string[]): Entrant[] {
  return names.map((name) => pressureEntrant(plan, part, how, rowOf(name) as Row));
}

/** What is there while it is measured. */
interface Scene {
  provider: Running;
  started: Started;
  loud: Asked;
  other: Asked;
}

function pressureEntrant(plan: Plan, part: Part, how: Pressure, row: Row): Entrant {
  const { seconds, settle } = extentOf(part, plan.quick);
  let scene: Scene | null = null;
  return {
    row: row.name,
    async warmUp() {
      scene = await begin(plan, part, how, row);
      const { started, loud } = scene;
      await warmUp(plan, part, row, started);
      await plan.load(loud, how.crowd, settle);
    },
    async measure() {
      const { started, loud, other } = scene as Scene;
      const { running } = started;
      // What the last crowd has left behind is over by then.
      await plan.load(loud, how.few, CALMING);
      const before = running.usage();
      const served = await plan.load(loud, how.few, seconds);
      const after = running.usage();
      const quiet = await openLoop(other, RATE, seconds);
      const few = served.requests - served.refused;
      const pause = pauseOf(how, few / served.seconds);
      const beforeCrowd = running.usage();
      const [pressed, meanwhile] = await Promise.all([
        plan.load(loud, how.crowd, seconds, pause),
        openLoop(other, RATE, seconds),
      ]);
      const afterCrowd = running.usage();
      const many = pressed.requests - pressed.refused;
      const answered = many / pressed.seconds / (few / served.seconds);
      const { cpu } = perRequest(before, after, few);
      const { cpu: cpuOfMany } = perRequest(beforeCrowd, afterCrowd, many + meanwhile.latencies.length);
      const other50 = quantile(meanwhile.latencies, 0.5);
      const other99 = quantile(meanwhile.latencies, 0.99);
      running.emptyLog();
      return {
        figures: {
          answered,
          answerCpu: many === 0 ? Number.NaN : cpuOfMany / cpu,
          offered: pressed.requests / pressed.seconds / (few / served.seconds),
          refused: pressed.refused / pressed.seconds,
          other50,
          times50: other50 / quantile(quiet.latencies, 0.5),
          other99,
          times99: other99 / quantile(quiet.latencies, 0.99),
          rss: afterCrowd.rssBytes / 2 ** 20,
        },
        // Of the crowd, refusals are what is asked for here.
        failed: served.failed + quiet.failed + meanwhile.failed,
        note: `${answered.toFixed(2)} of the answers, the other tenant waits ${other50.toFixed(0)} ms`,
      };
    },
    async end() {
      await scene?.started.stop();
      await scene?.provider.stop();
    },
  };
}

/** Milliseconds that each of the crowd is to wait between two requests, if few are answered so many a second. */
function pauseOf({ crowd, times }: Pressure, answered: number): number {
  return times === null ? 0 : (1000 * crowd) / (times * answered);
}

async function begin(
  { direct: upstream, scratch }: Plan,
  part: Part,
  how: Pressure,
  row: Row,
): Promise<Scene> {
  const label = `${row.name}-${part.name}`;
  const provider = startStandIn(scratch, `${label}-other`);
  const env = { BENCH_OTHER_UPSTREAM: await provider.listening() };
  const started = await row.start({ upstream, scratch, label, node: [], env });
  const loud = asked(row, started, false, how.body());
  const other = {
    ...asked(row, started, false, question('chat', { model: 'other', user: 'late' })),
    headers: started.otherHeaders,
  };
  const wrong = (await wrongWith(loud, row.dialect, false)) ?? (await wrongWith(other, row.dialect, false));
  if (wrong !== null) throw new Error(wrong);
  return { provider, started, loud, other };
}
