/** `--profile`: a CPU profile of one row under one part's load, and a flame graph of the time under that load alone. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { chooseLoader } from './closed-loop.ts';
import { type CpuProfile, flameGraph } from './flame.ts';
import { question } from './loads.ts';
import { wrongWith } from './measure/check.ts';
import { LATENCY_RATE, PACED, PACED_RATE } from './measure/open-loop.ts';
import { asked } from './measure/plan.ts';
import { warmUp } from './measure/warm-up.ts';
import { openLoop } from './open-loop.ts';
import type { Part } from './parts.ts';
import { Progress } from './progress.ts';
import type { Row } from './rows.ts';
import type { Stage } from './stage.ts';
import type { Started } from './start/start.ts';

/** Under the load itself, once it is warm. */
const SETTLE_SECONDS = 2;
const SECONDS = 8;
const INTERVAL_MICROS = 200;
/** A profile is written when the process ends, which takes a while. */
const PATIENCE_MS = 30_000;

/** The files that were written: of each process of the row a profile and its graph. */
export async function profile(
  { upstream, scratch }: Stage,
  row: Row,
  part: Part,
  directory: string,
): Promise<string[]> {
  const target = resolve(directory);
  mkdirSync(target, { recursive: true });
  const before = new Set(readdirSync(target));
  const node = ['--cpu-prof', `--cpu-prof-interval=${INTERVAL_MICROS}`, `--cpu-prof-dir=${target}`];
  const started = await row.start({ upstream, scratch, label: row.name, node, env: {} });
  const load = loadOf(row, started, part, scratch);
  const wrong = await wrongWith(load.asked, row.dialect, load.streamed);
  if (wrong !== null) throw new Error(`${row.name} cannot be profiled, ${wrong}`);
  const warming = { load: chooseLoader(scratch).load, quick: false, progress: new Progress(0) };
  await warmUp(warming, part, row, started);
  await load.run(SETTLE_SECONDS);
  const from = monotonicMicros();
  await load.run(SECONDS);
  const to = monotonicMicros();
  await started.stop(PATIENCE_MS);
  const profiles = readdirSync(target).filter((file) => file.endsWith('.cpuprofile') && !before.has(file));
  if (profiles.length === 0) process.stderr.write(`${row.name} has written no profile\n`);
  return profiles.flatMap((file, index) => {
    const name = join(target, `${row.name}-${part.name}${index === 0 ? '' : `-${index + 1}`}`);
    renameSync(join(target, file), `${name}.cpuprofile`);
    const profiled = JSON.parse(readFileSync(`${name}.cpuprofile`, 'utf8')) as CpuProfile;
    const title = `${row.name}, ${part.name}: ${row.title}; Node ${process.versions.node}`;
    writeFileSync(`${name}.svg`, flameGraph(profiled, { title, from, to }));
    return [`${name}.cpuprofile`, `${name}.svg`];
  });
}

/** In the time of profiles. */
function monotonicMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function loadOf(row: Row, started: Started, { how }: Part, scratch: string) {
  if (how.kind === 'closed') {
    const { load } = chooseLoader(scratch);
    const closed = asked(row, started, how.streamed, how.body(row.dialect));
    return {
      asked: closed,
      streamed: how.streamed,
      run: async (seconds: number) => void (await load(closed, how.connections, seconds)),
    };
  }
  const streamed = how.kind === 'paced';
  const open = asked(row, started, streamed, streamed ? PACED : question(row.dialect));
  return {
    asked: open,
    streamed,
    run: async (seconds: number) =>
      void (await openLoop(open, streamed ? PACED_RATE : LATENCY_RATE, seconds)),
  };
}
