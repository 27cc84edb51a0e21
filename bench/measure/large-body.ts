/**
 * For how long large bodies hold others up: they come one after the other, and short requests that the gateway answers by itself are timed meanwhile. What a large body
 * cannot do without is to be parsed: how long that takes on this machine is measured in this process, in the same round.
 */
import { Connection, getBytes, requestBytes } from '../client.ts';
import type { LargeBody, Part } from '../parts.ts';
import { answerTo, probesDuring } from '../probes.ts';
import { type Row, rowOf } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { median } from '../statistics.ts';
import { wrongWith } from './check.ts';
import { asked, type Entrant, extentOf, type Plan, type Sample } from './plan.ts';
import { warmUp } from './warm-up.ts';

const PROBED = '/v1/models';
/** From a body's answer to the next body: what is done after an answer holds others up as well. */
const AFTERWARDS_MS = 50;
/** Without a body: what a probe takes otherwise. */
const QUIET_MS = 1000;
const PARSES = 5;
/** Seconds beyond those of a round. What has no answer then has failed: the bench must end. */
const PATIENCE = 20;

export async function largeBodyEntrants(plan: Plan, part: Part, how: LargeBody): Promise<Entrant[]> {
  const body = how.body();
  const entrants: Entrant[] = [];
  for (const [name, started] of plan.started) {
    const row = rowOf(name) as Row;
    const wrong =
      (await wrongWith(asked(row, started, false, body), row.dialect, false)) ??
      (await wrongWithProbe(row, started));
    if (wrong === null) entrants.push(largeBodyEntrant(plan, part, row, started, body));
    else plan.progress.say(`${part.name}: ${name} left out, ${wrong}`);
  }
  return entrants;
}

function largeBodyEntrant(plan: Plan, part: Part, row: Row, started: Started, body: Buffer): Entrant {
  const { seconds, settle } = extentOf(part, plan.quick);
  return {
    row: row.name,
    async warmUp() {
      await warmUp(plan, part, row, started);
      await oneRound(row, started, body, settle);
    },
    async measure() {
      const sample = await oneRound(row, started, body, seconds);
      sample.figures.rss = started.running.usage().rssBytes / 2 ** 20;
      return sample;
    },
  };
}

async function oneRound(row: Row, started: Started, body: Buffer, seconds: number): Promise<Sample> {
  const wanted = asked(row, started, false, body);
  const request = requestBytes(wanted);
  const probe = getBytes(probedUrl(row, started), started.headers);
  const port = Number(new URL(wanted.url).port);
  const [client, prober] = [new Connection(port), new Connection(port)];
  const patience = setTimeout(
    () => {
      client.close();
      prober.close();
    },
    (seconds + PATIENCE) * 1000,
  );
  try {
    const parse = parseTime(body);
    const quiet = await probesDuring(prober, probe, () => pause(QUIET_MS));
    const longest: number[] = [];
    let failed = 0;
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const waits = await probesDuring(prober, probe, async () => {
        const { ok } = await answerTo(client, request);
        if (!ok) failed++;
        await pause(AFTERWARDS_MS);
      });
      longest.push(Math.max(...waits));
    }
    const wait = median(longest);
    const beyond = wait - median(quiet) - parse;
    return {
      figures: { wait, worst: Math.max(...longest), parse, beyond, quiet: Math.max(...quiet) },
      failed,
      note: `${wait.toFixed(1)} ms, ${longest.length} bodies; to parse it takes ${parse.toFixed(1)}`,
    };
  } finally {
    clearTimeout(patience);
    client.close();
    prober.close();
  }
}

/** Milliseconds, from its bytes to what they mean. */
function parseTime(body: Buffer): number {
  const times = Array.from({ length: PARSES }, () => {
    const start = performance.now();
    JSON.parse(body.toString());
    return performance.now() - start;
  });
  return median(times);
}

function probedUrl(row: Row, started: Started): string {
  return new URL(PROBED, started.url(row.dialect, false)).href;
}

/** Is it the gateway itself that answers? */
async function wrongWithProbe(row: Row, started: Started): Promise<string | null> {
  const answer = await fetch(probedUrl(row, started), {
    headers: started.headers,
    signal: AbortSignal.timeout(10_000),
  });
  const text = await answer.text();
  return answer.ok && text.includes('"list"') ? null : `its list of models is none: ${text.slice(0, 300)}`;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
