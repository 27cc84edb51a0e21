/**
 * What one process spends on a request, and what two do that share a port, each under the same load as the one. The two have less of the machine to
 * themselves: what that costs is seen where two gateways of one process each work beside each other, and share nothing.
 */
import { question } from '../loads.ts';
import { openLoop } from '../open-loop.ts';
import type { Part } from '../parts.ts';
import { type Row, rowOf } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { wrongWith } from './check.ts';
import { perRequest } from './closed.ts';
import { LATENCY_RATE } from './open-loop.ts';
import { asked, type Entrant, extentOf, type Plan } from './plan.ts';
import { warmUp } from './warm-up.ts';

/** For each process. */
const CONNECTIONS = 32;
const RATE = LATENCY_RATE;

export async function processEntrants(plan: Plan, part: Part): Promise<Entrant[]> {
  const entrants: Entrant[] = [];
  for (const [name, started] of plan.started) {
    const row = rowOf(name) as Row;
    const wrong = await wrongWith(asked(row, started, false, question(row.dialect)), row.dialect, false);
    if (wrong === null) entrants.push(processEntrant(plan, part, row, started));
    else plan.progress.say(`${part.name}: ${name} left out, ${wrong}`);
  }
  return entrants;
}

function processEntrant(plan: Plan, part: Part, row: Row, started: Started): Entrant {
  const { running } = started;
  const { direct: upstream, scratch } = plan;
  const { seconds, settle } = extentOf(part, plan.quick);
  const rate = RATE * row.processes;
  const wanted = asked(row, started, false, question(row.dialect));
  const steadily = (time: number) => openLoop(wanted, rate, time, CONNECTIONS * row.processes);
  /** Another gateway of the same kind, where the row is one process. */
  let twin: Started | null = null;
  return {
    row: row.name,
    async warmUp() {
      if (row.processes === 1) {
        twin = await row.start({ upstream, scratch, label: `${row.name}-beside`, node: [], env: {} });
        await warmUp(plan, part, row, twin);
      }
      await warmUp(plan, part, row, started);
      await steadily(settle);
    },
    async measure() {
      const alone = await busy(plan, row, Array(row.processes).fill(started), seconds);
      const two = twin === null ? alone : await busy(plan, row, [started, twin], seconds);
      const before = running.usage();
      const steady = await steadily(seconds);
      const { cpu: cpuSteady } = perRequest(
        before,
        running.usage(),
        Math.floor(rate * seconds) - steady.failed,
      );
      twin?.running.emptyLog();
      return {
        figures: { cpu: alone.cpu, cpuOfTwo: two.cpu, cpuSteady, perSecond: alone.perSecond },
        failed: alone.failed + steady.failed + (twin === null ? 0 : two.failed),
        note: `${alone.cpu.toFixed(1)} µs, two ${two.cpu.toFixed(1)}, at a fixed rate ${cpuSteady.toFixed(1)}`,
      };
    },
    async end() {
      await twin?.stop();
    },
  };
}

/** The same load for each of these, at once; the CPU that all of them spend on a request. */
async function busy(plan: Plan, row: Row, each: readonly Started[], seconds: number) {
  const processes = [...new Set(each.map(({ running }) => running))];
  const spent = () => processes.reduce((sum, running) => sum + running.usage().cpuSeconds, 0);
  const before = spent();
  const found = await Promise.all(
    each.map((started) => plan.load(asked(row, started, false, question(row.dialect)), CONNECTIONS, seconds)),
  );
  const micros = (spent() - before) * 1e6;
  const requests = found.reduce((sum, one) => sum + one.requests, 0);
  return {
    cpu: requests === 0 ? Number.NaN : micros / requests,
    perSecond: found.reduce((sum, one) => sum + one.requests / one.seconds, 0),
    failed: found.reduce((sum, one) => sum + one.failed, 0),
  };
}
