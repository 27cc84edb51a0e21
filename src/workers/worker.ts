/** What is brought into a worker: an App without a listener for operators, which does what the primary asks. */
import cluster from 'node:cluster';
import type { Told } from '../accounting/aggregate.ts';
import { openLog } from '../accounting/log.ts';
import { App } from '../app/app.ts';
import { keepCompiledCode } from '../app/compiled-code.ts';
import { foundConfiguration } from '../app/configuration.ts';
import { endAtFaults, exitWith, TERMINATED } from '../app/exits.ts';
import { systemClock } from '../core/clock.ts';
import { sent } from './errors.ts';
import { outputIsFile } from './output.ts';
import { Preparation } from './preparation.ts';
import type { Answer, Kind, Question, Questions, Start } from './questions.ts';

type Answers = {
  readonly [K in Kind]: (
    asked: Questions[K]['asked'],
  ) => Questions[K]['answer'] | Promise<Questions[K]['answer']>;
};

keepCompiledCode();
const log = openLog('info');
const fault = endAtFaults(log);

/** The app, once it has begun. */
let running: { app: App; start: Start } | null = null;
/** The end, once it has begun: told by the primary, or because there is none any more. */
let ending: Promise<void> | null = null;
/** What is being told of what was measured: one scrape at a time. */
let telling: AsyncGenerator<Told[]> | null = null;
const preparation = new Preparation();

const answers: Answers = {
  start: async (start) => {
    log.setWorker(start.number);
    const read = foundConfiguration(start.source, start.findings, process.env);
    if (!read.ok) throw new Error(read.problems.join('\n'));
    log.setLevel(read.config.log.level);
    const app = new App({
      config: read.config,
      fileName: start.source.file,
      // The primary reads it, and says so.
      readConfig: () => ({ ok: false, problems: ['a worker does not read the configuration by itself'] }),
      log,
      clock: systemClock,
      chance: Math.random,
      environment: process.env,
      isWorker: true,
    });
    running = { app, start };
    return { listen: await app.listenToClients() };
  },
  prepare: (findings) => {
    const { app, start } = begun();
    return preparation.begin(async () => {
      const read = foundConfiguration(start.source, findings, process.env);
      return read.ok ? await app.prepare(read.config) : read;
    });
  },
  take: () => {
    try {
      preparation.take();
      return [];
    } catch (error) {
      log.error({ err: error }, 'a configuration that was found good could not be taken over');
      return [`it cannot be run: ${(error as Error).message}`];
    }
  },
  notReady: () => operations().notReady(),
  metrics: async ({ anew }) => {
    if (anew) telling = operations().measured();
    return (await telling?.next())?.value ?? null;
  },
  missingTenants: ({ tenants }) => operations().withoutTenant(tenants),
  upstreams: () => operations().upstreams().upstreams,
  flush: ({ tenant }) => operations().ledger.flush(tenant),
  ledger: ({ days, tenant }) => operations().ledger.ledger(days, tenant),
  tenants: ({ operation, given }) => {
    const tenants = operations().tenants();
    return (tenants[operation] as (...given: readonly unknown[]) => Promise<unknown>).apply(tenants, [
      ...given,
    ]);
  },
  followTenants: async () => {
    await operations().followTenants();
    return null;
  },
  drain: async () => {
    await end();
    return null;
  },
};

process.on('message', (question: Question) => {
  void answer(question).then((said) => process.send?.(said, () => {}));
});

// The primary is gone without a word: no more connections come. What is under way may end as with any other end. Node would have the
// process exit at once, unless it is known to be leaving.
if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
process.on('disconnect', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(TERMINATED));
  // The primary alone read it.
  if (!outputIsFile()) log.unread();
  end().catch(fault);
});

async function answer({ id, kind, asked }: Question): Promise<Answer> {
  try {
    const ask = answers[kind] as (asked: unknown) => unknown;
    return { id, answer: (await ask(asked)) ?? null };
  } catch (error) {
    return { id, error: sent(error) };
  }
}

function begun(): { app: App; start: Start } {
  if (running === null) throw new Error('it has not begun');
  return running;
}

function operations() {
  return begun().app.operations;
}

function end(): Promise<void> {
  ending ??= drainAndExit();
  return ending;
}

async function drainAndExit(): Promise<void> {
  await running?.app.drain();
  await exitWith(0, log);
}
