/** `npm run bench`: what Spillway costs, next to yardsticks measured in the same minutes. See README.md. */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { chooseLoader } from './closed-loop.ts';
import { compare } from './compare.ts';
import { countInstructions, whyUncounted } from './instructions.ts';
import { closedEntrants } from './measure/closed.ts';
import { largeBodyEntrants } from './measure/large-body.ts';
import { openLoopEntrants } from './measure/open-loop.ts';
import { openStreamEntrants } from './measure/open-streams.ts';
import { type Entrant, extentOf, inTurn, type Plan } from './measure/plan.ts';
import { pressureEntrants } from './measure/pressure.ts';
import { processEntrants } from './measure/processes.ts';
import { startEntrants } from './measure/start.ts';
import { chosen, HELP, type Options, readOptions } from './options.ts';
import { type Part, partOf } from './parts.ts';
import { profile } from './profile.ts';
import { Progress } from './progress.ts';
import { report } from './report.ts';
import { addTo, emptyResults, type Results, readResults } from './results.ts';
import type { Row } from './rows.ts';
import { type Stage, withStage } from './stage.ts';
import type { Started } from './start/start.ts';

async function main(): Promise<number> {
  const options = optionsOrUsage();
  if (options === null) return 2;
  if (!existsSync('/proc/self/stat')) {
    process.stderr.write('the bench reads CPU time from /proc: it runs on Linux only\n');
    return 2;
  }
  const { against, json } = options;
  let before: Results | null;
  // First: what cannot be read or written is better known before than after the run.
  try {
    before = against === null ? null : resultsIn(against);
    if (json !== null) tryToWrite(json);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  if (options.profile !== null) {
    const { row, part, directory } = options.profile;
    const written = await withStage((stage) => profile(stage, row, partOf(part), directory));
    process.stdout.write(written.map((file) => `${file}\n`).join(''));
    return written.length > 0 ? 0 : 1;
  }
  const results = await withStage((stage) => run(stage, options));
  process.stdout.write(`${report(results)}\n`);
  if (before !== null) process.stdout.write(`\n${compare(results, before)}\n`);
  if (json !== null) writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
  return 0;
}

function optionsOrUsage(): Options | null {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === null) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return options;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${HELP}`);
    return null;
  }
}

function resultsIn(file: string): Results {
  try {
    return readResults(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`--against ${file}: ${(error as Error).message}`);
  }
}

/** Leaves what is there: it may be what is compared with, and the run may end before there is anything to write. */
function tryToWrite(file: string): void {
  const isNew = !existsSync(file);
  try {
    closeSync(openSync(file, 'a'));
    if (isNew) rmSync(file);
  } catch (error) {
    throw new Error(`--json ${file}: ${(error as Error).message}`);
  }
}

async function run({ upstream, scratch }: Stage, { quick, only, starts }: Options): Promise<Results> {
  const parts = [...chosen({ quick, only })].flatMap(([name, rows]) => {
    const part = partOf(name);
    // What starts its processes for itself begins each round with new ones.
    return Array.from({ length: startsItself(part) ? 1 : starts }, () => ({ part, rows }));
  });
  const progress = new Progress(stepsOf(parts, quick));
  const { name: loader, load } = chooseLoader(scratch);
  progress.say(`loader: ${loader}`);
  const uncounted = whyUncounted();
  if (uncounted !== null) progress.say(`no column of instructions: ${uncounted}`);
  const count = uncounted === null ? countInstructions : null;
  const plan: Plan = { started: new Map(), direct: upstream, scratch, quick, load, count, progress };
  const results = emptyResults({
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Linux ${release()}`,
    cores: cpus().length,
    node: process.versions.node,
    loader,
    loadBefore: loadavg()[0] as number,
    quick,
  });
  const impossible = new Set<string>();
  for (const { part, rows } of parts) {
    const running = startsItself(part) ? [] : await startAll(plan, rows, impossible);
    plan.started = new Map(running);
    addTo(results, await inTurn(plan, part, await entrantsOf(plan, part, rows)));
    // What a process has been through before would show in its figures: none is there for two parts.
    await Promise.all(running.map(([, started]) => started.stop()));
  }
  return results;
}

function startsItself({ how }: Part): boolean {
  return how.kind === 'open' || how.kind === 'pressure' || how.kind === 'start';
}

function stepsOf(parts: readonly { part: Part; rows: readonly Row[] }[], quick: boolean): number {
  const entrants = (kind: string, rows: number) => (kind === 'latency' || kind === 'paced' ? rows + 1 : rows);
  return parts.reduce(
    (sum, { part, rows }) => sum + extentOf(part, quick).rounds * entrants(part.how.kind, rows.length),
    0,
  );
}

/** By name, in the order of the rows. */
async function startAll(
  { direct: upstream, scratch, progress }: Plan,
  rows: readonly Row[],
  impossible: Set<string>,
): Promise<[string, Started][]> {
  const started: [string, Started][] = [];
  for (const row of rows) {
    const { name } = row;
    if (impossible.has(name)) continue;
    try {
      started.push([name, await row.start({ upstream, scratch, label: name, node: [], env: {} })]);
    } catch (error) {
      impossible.add(name);
      progress.say(`${name}: skipped, ${(error as Error).message}`);
    }
  }
  return started;
}

function entrantsOf(plan: Plan, part: Part, rows: readonly Row[]): Promise<Entrant[]> | Entrant[] {
  const names = rows.map(({ name }) => name);
  switch (part.how.kind) {
    case 'closed':
      return closedEntrants(plan, part, part.how);
    case 'large-body':
      return largeBodyEntrants(plan, part, part.how);
    case 'pressure':
      return pressureEntrants(plan, part, part.how, names);
    case 'processes':
      return processEntrants(plan, part);
    case 'open':
      return openStreamEntrants(plan, part, names);
    case 'start':
      return startEntrants(plan, names);
    default:
      return openLoopEntrants(plan, part, part.how.kind);
  }
}

process.exitCode = await main();
