import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { AppOptions } from './app/app.ts';
import type { ConfigurationSource } from './app/configuration.ts';
import type { PrimaryOptions } from './workers/primary.ts';

/** What is done at a signal. */
interface Heeding {
  reload(): void;
  stop(signal: NodeJS.Signals): void;
}

/** SIGHUP came while nothing could be loaded again yet. */
let isToReload = false;

// Bringing in the parts takes a good deal of a second. Meanwhile Node by itself would end at a SIGHUP, and as the first process of a container heed nothing.
const heeding: Heeding = {
  reload: () => {
    isToReload = true;
  },
  stop: () => process.exit(0),
};
process.on('SIGHUP', () => heeding.reload());
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => heeding.stop(signal));

const [
  { openLog },
  { readConfiguration },
  { endAtFaults, exitWith, FAULTY, TERMINATED },
  { systemClock },
  { parseAddress },
] = await Promise.all([
  import('./accounting/log.ts'),
  import('./app/configuration.ts'),
  import('./app/exits.ts'),
  import('./core/clock.ts'),
  import('./server/schema.ts'),
]);

/** Exit status; the others are in `app/exits.ts`. */
const WRONG_USAGE = 2;

const USAGE = `usage: node src/main.ts [--config FILE] [--listen HOST:PORT] [--admin HOST:PORT]`;

function readArguments(): ConfigurationSource {
  try {
    const { values } = parseArgs({
      options: { config: { type: 'string' }, listen: { type: 'string' }, admin: { type: 'string' } },
    });
    const address = (name: 'listen' | 'admin') => {
      const text = values[name];
      if (text === undefined) return null;
      const parsed = parseAddress(text);
      if (parsed === null)
        throw new Error(`--${name}: expected HOST:PORT, such as 127.0.0.1:8080, found ${text}`);
      return parsed;
    };
    const file = values.config ?? process.env['SPILLWAY_CONFIG'] ?? 'config/spillway.yaml';
    return {
      file: file === '' ? 'config/spillway.yaml' : file,
      listen: address('listen'),
      admin: address('admin'),
    };
  } catch (error) {
    process.stderr.write(`spillway: ${(error as Error).message}\n${USAGE}\n`);
    process.exit(WRONG_USAGE);
  }
}

/** What runs, and is told to reload and to stop. */
interface Gateway {
  listen(): Promise<{ listen: string; admin: string }>;
  reload(): Promise<unknown>;
  drain(): Promise<void>;
  /** Ends what would outlive this process. */
  kill(): void;
}

async function main(): Promise<void> {
  const source = readArguments();
  const log = openLog('info');
  const env = process.env;
  const read = async () => {
    const found = await readConfiguration(source, env);
    if (found.ok) for (const warning of found.warnings) log.warn({ problem: warning }, 'configuration');
    return found;
  };
  const first = await read();
  if (!first.ok) {
    process.stderr.write(`${first.problems.join('\n')}\n`);
    return exitWith(FAULTY, log);
  }
  const { config, findings } = first;
  log.setLevel(config.log.level);

  const fault = endAtFaults(log);
  const surroundings = { log, clock: systemClock, chance: Math.random };
  const count = config.server.workers === 'auto' ? availableParallelism() : config.server.workers;
  const gateway: Gateway =
    count === 1
      ? await alone({ config, readConfig: read, ...surroundings })
      : await several({ count, config, findings, ...surroundings });

  let stopping = false;
  let status = 0;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) {
      log.warn({ signal }, 'stopped at once');
      gateway.kill();
      status = TERMINATED;
      void exitWith(status, log);
      return;
    }
    stopping = true;
    const end = async () => {
      await gateway.drain();
      log.info({ signal }, 'stopped');
      await exitWith(status, log);
    };
    end().catch(fault);
  };
  heeding.stop = stop;

  gateway.listen().then(
    (urls) => {
      if (stopping) return;
      log.announce({ ...urls, pid: process.pid, models: config.models.size }, 'listening');
      heeding.reload = () => void gateway.reload();
      if (isToReload) heeding.reload();
    },
    (error: NodeJS.ErrnoException) => {
      if (stopping) return;
      const hint =
        error.code === 'EADDRINUSE'
          ? ' Another process has this port: choose another with --listen or --admin.'
          : '';
      process.stderr.write(`spillway: cannot listen: ${error.message}.${hint}\n`);
      gateway.kill();
      void exitWith(FAULTY, log);
    },
  );

  /** Each of the two brings in what it needs: where there are workers, this process serves nobody. */
  async function alone(options: Omit<AppOptions, 'fileName' | 'environment'>): Promise<Gateway> {
    const [{ App }, { keepCompiledCode }] = await Promise.all([
      import('./app/app.ts'),
      import('./app/compiled-code.ts'),
    ]);
    keepCompiledCode();
    const app = new App({ ...options, fileName: source.file, environment: env });
    return {
      listen: () => app.listen(),
      reload: () => app.reload(),
      drain: () => app.drain(),
      kill: () => {},
    };
  }

  async function several(options: Omit<PrimaryOptions, 'source'>): Promise<Gateway> {
    const { Primary } = await import('./workers/primary.ts');
    return new Primary({ ...options, source });
  }
}

await main();
