/** `npm run bench`: what Spillway costs, next to yardsticks measured in the same minutes. See bench/README.md. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseLoader } from './closed-loop.ts';
import { CONTESTANTS, type Started } from './contestants.ts';
import { LOADS } from './loads.ts';
import { measureLatency, measureLoad, measurePaced, type Plan } from './measure.ts';
import { Running, stopAll } from './process.ts';
import { compare, report } from './report.ts';
import { type Results, readResults } from './results.ts';

const PARTS = [...LOADS.map((load) => load.name), 'latency', 'paced'];
const NAMES = [...CONTESTANTS.map((contestant) => contestant.name), ...PARTS];

const HELP = `Usage: npm run bench -- [options]
  --quick           fewer and shorter rounds, without portkey and body-100k unless they are named in --only:
                    under two minutes, for a first look
  --only a,b        of the rows (${CONTESTANTS.map((one) => one.name).join(' ')}) and parts (${PARTS.join(' ')}) only these;
                    ratios need their yardsticks (http for streams, fastify for the rest)
  --json FILE       write what was found
  --against FILE    say what changed since then, beyond the noise
`;

const say = (line: string) => {
  process.stderr.write(`${line}\n`);
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      json: { type: 'string' },
      against: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const only = values.only === '' ? [] : values.only.split(',');
  const unknown = only.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    say(`unknown name in --only: ${unknown}\n${HELP}`);
    return 2;
  }
  if (!existsSync('/proc/self/stat')) {
    say('the bench reads CPU time from /proc: it runs on Linux only');
    return 2;
  }
  const before = values.against === undefined ? null : readResults(readFileSync(values.against, 'utf8'));

  const results = await run(values.quick, only);
  process.stdout.write(`${report(results)}\n`);
  if (before !== null) process.stdout.write(`\n${compare(results, before)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
  return 0;
}

/** What --quick leaves out unless --only names it. */
const SLOW = ['portkey', 'body-100k'];

/** Of these names, those that --only leaves; all, if it has none of them. */
function chosen(names: readonly string[], only: readonly string[], quick: boolean): string[] {
  const named = names.filter((name) => only.includes(name));
  if (named.length > 0) return named;
  return names.filter((name) => !(quick && SLOW.includes(name)));
}

async function run(quick: boolean, only: readonly string[]): Promise<Results> {
  const scratch = mkdtempSync(join(tmpdir(), 'spillway-bench-'));
  const started = new Map<string, Started>();
  const upstream = new Running({
    command: process.execPath,
    args: [join(import.meta.dirname, 'upstream.ts')],
    logFile: join(scratch, 'upstream.log'),
  });
  const cleanUp = async () => {
    await stopAll();
    rmSync(scratch, { recursive: true, force: true });
  };
  const interrupted = () => void cleanUp().then(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const direct = await upstream.listening();
    const rows = chosen(
      CONTESTANTS.map(({ name }) => name),
      only,
      quick,
    );
    const parts = chosen(PARTS, only, quick);
    for (const contestant of CONTESTANTS) {
      if (!rows.includes(contestant.name)) continue;
      try {
        started.set(contestant.name, await contestant.start(direct, scratch));
      } catch (error) {
        say(`${contestant.name}: skipped, ${(error as Error).message}`);
      }
    }
    const { name: loader, load: loadWith } = chooseLoader(scratch);
    say(`loader: ${loader}`);
    const plan: Plan = {
      contestants: started,
      direct,
      rounds: quick ? 3 : 5,
      seconds: quick ? 1 : 3,
      warmUp: quick ? 2 : 4,
      say,
    };
    const results: Results = {
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Linux ${release()}`,
      node: process.versions.node,
      loader,
      loadBefore: loadavg()[0] as number,
      quick,
      loads: [],
      latency: [],
      paced: [],
    };
    for (const load of LOADS) {
      if (!parts.includes(load.name)) continue;
      results.loads.push(...(await measureLoad(plan, load, loadWith)));
      if (quick) plan.warmUp = 1;
    }
    const open = { ...plan, seconds: quick ? 1 : 3, rounds: quick ? 2 : 5, warmUp: quick ? 0.4 : 2 };
    if (parts.includes('latency'))
      results.latency = await measureLatency(open, LOADS[0] as (typeof LOADS)[0]);
    if (parts.includes('paced')) results.paced = await measurePaced(open);
    return results;
  } finally {
    await cleanUp();
  }
}

process.exitCode = await main();
