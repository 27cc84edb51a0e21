/** The three kinds of measurement. Rounds are interleaved (A B C, A B C ...), so that a slow minute hits all alike. */
import type { Asked } from './client.ts';
import type { Loader } from './closed-loop.ts';
import type { Started } from './contestants.ts';
import { ANSWER, DONE, EVENTS, type Load, PACED_BODY } from './loads.ts';
import { openLoop, quantile } from './open-loop.ts';
import type { Usage } from './process.ts';
import type { LatencyRow, LoadRow, PacedRow } from './results.ts';

export interface Plan {
  /** One that ends by itself is taken out. */
  contestants: Map<string, Started>;
  /** The upstream's own address, for what is measured without a gateway. */
  direct: string;
  rounds: number;
  seconds: number;
  /** Seconds under load before anything counts: Node needs some tens of thousands of requests to reach its speed. */
  warmUp: number;
  say(line: string): void;
}

const LATENCY_RATE = 1000;
const PACED_RATE = 50;

export async function measureLoad(plan: Plan, load: Load, loader: Loader): Promise<LoadRow[]> {
  const rows = new Map<string, LoadRow>();
  for (const [name, started] of plan.contestants) {
    const wrong = await check(asked(started, load), load.streamed);
    if (wrong !== null) {
      plan.say(`${load.name}: ${name} left out, ${wrong}`);
      continue;
    }
    await loader(asked(started, load), load.connections, plan.warmUp);
    rows.set(name, {
      load: load.name,
      contestant: name,
      cpuMicros: [],
      perSecond: [],
      rssMb: [],
      reads: [],
      failed: 0,
    });
  }
  for (let round = 1; round <= plan.rounds; round++) {
    for (const [name, row] of rows) {
      const started = plan.contestants.get(name);
      if (started === undefined) continue;
      const before = started.running.usage();
      const result = await loader(asked(started, load), load.connections, plan.seconds);
      if (ended(plan, name)) {
        rows.delete(name);
        continue;
      }
      const after = started.running.usage();
      const spent = perRequest(before, after, result.requests);
      row.cpuMicros.push(spent.cpuMicros);
      row.reads.push(spent.reads);
      row.perSecond.push(result.requests / result.seconds);
      row.rssMb.push(after.rssBytes / 2 ** 20);
      row.failed += result.failed;
      started.running.emptyLog();
      plan.say(`${load.name} ${round}/${plan.rounds}: ${name} ${spent.cpuMicros.toFixed(1)} µs`);
    }
  }
  return [...rows.values()];
}

export async function measureLatency(plan: Plan, load: Load): Promise<LatencyRow[]> {
  const rows: LatencyRow[] = everyone(plan).map((contestant) => ({
    contestant,
    p50: [],
    p99: [],
    p999: [],
    failed: 0,
  }));
  for (let round = 0; round <= plan.rounds; round++) {
    for (const row of rows) {
      const started = plan.contestants.get(row.contestant);
      if (started === undefined && row.contestant !== 'direct') continue;
      const { url, headers } = target(plan, started, false);
      const ask = (seconds: number) => openLoop({ url, headers, body: load.body }, LATENCY_RATE, seconds);
      if (round === 0) {
        await ask(plan.warmUp);
        continue;
      }
      const result = await ask(plan.seconds);
      if (ended(plan, row.contestant)) continue;
      row.p50.push(quantile(result.latencies, 0.5));
      row.p99.push(quantile(result.latencies, 0.99));
      row.p999.push(quantile(result.latencies, 0.999));
      row.failed += result.failed;
      started?.running.emptyLog();
      plan.say(
        `latency ${round}/${plan.rounds}: ${row.contestant} ${row.p50.at(-1)?.toFixed(2)} ms (loader late by ${result.latenessP99.toFixed(1)} ms at p99)`,
      );
    }
  }
  return rows;
}

export async function measurePaced(plan: Plan): Promise<PacedRow[]> {
  const rows: PacedRow[] = everyone(plan).map((contestant) => ({
    contestant,
    cpuMicros: [],
    reads: [],
    firstP50: [],
    firstP99: [],
    failed: 0,
  }));
  for (let round = 0; round <= plan.rounds; round++) {
    for (const row of rows) {
      const started = plan.contestants.get(row.contestant);
      if (started === undefined && row.contestant !== 'direct') continue;
      const { url, headers } = target(plan, started, true);
      const ask = (seconds: number) => openLoop({ url, headers, body: PACED_BODY }, PACED_RATE, seconds);
      if (round === 0) {
        await ask(plan.warmUp);
        continue;
      }
      const before = started?.running.usage();
      const result = await ask(plan.seconds);
      if (ended(plan, row.contestant)) continue;
      const after = started?.running.usage();
      const spent =
        before && after
          ? perRequest(before, after, Math.floor(PACED_RATE * plan.seconds))
          : { cpuMicros: Number.NaN, reads: Number.NaN };
      row.cpuMicros.push(spent.cpuMicros);
      row.reads.push(spent.reads);
      row.firstP50.push(quantile(result.firstContent, 0.5));
      row.firstP99.push(quantile(result.firstContent, 0.99));
      row.failed += result.failed;
      started?.running.emptyLog();
      plan.say(`paced ${round}/${plan.rounds}: ${row.contestant} ${row.firstP50.at(-1)?.toFixed(2)} ms`);
    }
  }
  return rows;
}

function everyone(plan: Plan): string[] {
  return ['direct', ...plan.contestants.keys()];
}

/** A contestant that has ended by itself takes no further part. */
function ended(plan: Plan, name: string): boolean {
  const running = plan.contestants.get(name)?.running;
  if (running === undefined || !running.ended) return false;
  plan.say(`${name} has ended, no more of it: ${running.log.slice(-500)}`);
  plan.contestants.delete(name);
  return true;
}

function target(plan: Plan, started: Started | undefined, streamed: boolean) {
  if (started === undefined) return { url: `${plan.direct}/v1/chat/completions`, headers: {} };
  return { url: started.url(streamed), headers: started.headers };
}

function asked(started: Started, load: Load): Asked {
  return { url: started.url(load.streamed), headers: started.headers, body: load.body };
}

function perRequest(before: Usage, after: Usage, requests: number) {
  if (requests === 0) return { cpuMicros: Number.NaN, reads: Number.NaN };
  return {
    cpuMicros: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / requests,
    reads: (after.reads - before.reads) / requests,
  };
}

/** What is wrong with a contestant's answer, or null: none is measured for errors that it makes quickly. */
async function check({ url, headers, body }: Asked, streamed: boolean): Promise<string | null> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      signal: AbortSignal.timeout(10_000),
    });
    text = await answer.text();
  } catch (error) {
    return `it did not answer: ${(error as Error).message}`;
  }
  if (answer.status !== 200) return `it answered ${answer.status}: ${text.slice(0, 300)}`;
  if (streamed) {
    const events = text.split('\n\n').filter((event) => event.startsWith('data: {'));
    if (events.length < EVENTS.length) return `its stream has ${events.length} events of ${EVENTS.length}`;
    if (!text.trimEnd().endsWith(DONE.toString().trim())) return 'its stream does not end with [DONE]';
    return null;
  }
  const content = (json: string) =>
    (JSON.parse(json) as { choices: { message: { content: string } }[] }).choices[0]?.message.content;
  return content(text) === content(ANSWER.toString())
    ? null
    : `its answer is another one: ${text.slice(0, 300)}`;
}
