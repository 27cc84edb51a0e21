/**
 * More than can be done: a crowd of one tenant's clients, who ask again at once when they are answered or refused, or all together at a fixed rate, and another tenant, who asks at a
 * fixed rate. Its model takes as long as the quickest do, for that is what clients wait for: beside it they see what the gateway adds. And it is a provider
 * of its own, in whose line the crowd does not stand.
 */
import type { Asked } from '../client.ts';
import { question } from '../loads.ts';
import { type OpenLoopResult, openLoop } from '../open-loop.ts';
import type { Part, Pressure } from '../parts.ts';
import type { Running, Usage } from '../process.ts';
import { type Row, rowOf } from '../rows.ts';
import { startStandIn } from '../stage.ts';
import { StandingCrowd } from '../standing-crowd.ts';
import type { Started } from '../start/start.ts';
import { quantile } from '../statistics.ts';
import { wrongWith } from './check.ts';
import { perRequest } from './closed.ts';
import { asked, type Entrant, extentOf, type Plan, type Sample } from './plan.ts';
import { warmUp } from './warm-up.ts';

/** Seconds. */
const CALMING = 2;
/** Requests a second of the other tenant. */
const RATE = 50;
/** Seconds of a fixed rate that do not count: a gateway may take a second or two for a burst, and serve what came in them afterwards. */
const LEAD = 4;

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
      // At a fixed rate the crowd comes when it is known what few are answered, and has a lead of its own.
      await plan.load(loud, how.times === null ? how.crowd : how.few, settle);
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
      const full = few / served.seconds;
      const pressed =
        how.times === null
          ? await atOnce(plan, how, scene as Scene, seconds)
          : await atRate(how.crowd, how.times * full, scene as Scene, seconds);
      const { meanwhile } = pressed;
      const answered = pressed.answered / pressed.seconds / full;
      const { cpu } = perRequest(before, after, few);
      const { cpu: cpuOfMany } = perRequest(
        pressed.before,
        pressed.after,
        pressed.answered + meanwhile.latencies.length,
      );
      const other50 = quantile(meanwhile.latencies, 0.5);
      const other99 = quantile(meanwhile.latencies, 0.99);
      running.emptyLog();
      return {
        figures: {
          answered,
          answerCpu: pressed.answered === 0 ? Number.NaN : cpuOfMany / cpu,
          offered: pressed.asked / pressed.seconds / full,
          refused: pressed.refused / pressed.seconds,
          other50,
          times50: other50 / quantile(quiet.latencies, 0.5),
          other99,
          times99: other99 / quantile(quiet.latencies, 0.99),
          rss: pressed.after.rssBytes / 2 ** 20,
          ...pressed.figures,
        },
        // Of the crowd, refusals are what is asked for here.
        failed: served.failed + quiet.failed + meanwhile.failed + pressed.failed,
        note: `${answered.toFixed(2)} of the answers, the other tenant waits ${other50.toFixed(0)} ms${pressed.note}`,
      };
    },
    async end() {
      await scene?.started.stop();
      await scene?.provider.stop();
    },
  };
}

/** What came of a crowd. */
interface Pressed {
  seconds: number;
  asked: number;
  answered: number;
  refused: number;
  /** Neither answered nor refused, where that can be told. */
  failed: number;
  before: Usage;
  after: Usage;
  /** The other tenant. */
  meanwhile: OpenLoopResult;
  figures: Sample['figures'];
  note: string;
}

/** Each asks again at once. */
async function atOnce(
  { load }: Plan,
  { crowd }: Pressure,
  { started, loud, other }: Scene,
  seconds: number,
): Promise<Pressed> {
  const before = started.running.usage();
  const [{ requests, refused, seconds: took }, meanwhile] = await Promise.all([
    load(loud, crowd, seconds),
    openLoop(other, RATE, seconds),
  ]);
  return {
    seconds: took,
    asked: requests,
    answered: requests - refused,
    refused,
    failed: 0,
    before,
    after: started.running.usage(),
    meanwhile,
    figures: {},
    note: '',
  };
}

/** They ask so often a second in all, on connections that were opened before. */
async function atRate(
  connections: number,
  rate: number,
  { started, loud, other }: Scene,
  seconds: number,
): Promise<Pressed> {
  const crowd = await StandingCrowd.open(loud, connections);
  try {
    await pause(CALMING);
    crowd.begin(rate);
    await pause(LEAD);
    const before = started.running.usage();
    crowd.count();
    const meanwhile = await openLoop(other, RATE, seconds);
    const { sent, unsent, latenessP99, ...counted } = crowd.tally();
    const after = started.running.usage();
    const unsentPerSecond = unsent / counted.seconds;
    return {
      ...counted,
      asked: sent,
      before,
      after,
      meanwhile,
      figures: { unsent: unsentPerSecond, late: latenessP99 },
      note: `, ${unsentPerSecond.toFixed(0)} a second found no connection free (loader late by ${latenessP99.toFixed(1)} ms at p99)`,
    };
  } finally {
    crowd.close();
  }
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
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
