import { parseArgs } from 'node:util';
import { openLog } from './accounting/log.ts';
import { App } from './app/app.ts';
import { loadConfig } from './config/load.ts';
import { formatProblem } from './config/problem.ts';
import type { RuntimeConfig } from './config/runtime.ts';
import { systemClock } from './core/clock.ts';
import { isLoopback, parseAddress } from './server/schema.ts';
import type { Address } from './server/settings.ts';

/** Exit statuses: 1 for a faulty configuration or a fault of the process, 2 for wrong usage. */
const FAULTY = 1;
const WRONG_USAGE = 2;
/** A second SIGTERM or SIGINT: 128 + 15, as a shell has it. */
const TERMINATED = 143;

const USAGE = `usage: node src/main.ts [--config FILE] [--listen HOST:PORT] [--admin HOST:PORT]`;

function readArguments(): { file: string; listen: Address | null; admin: Address | null } {
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

function main(): void {
  const { file, listen, admin } = readArguments();
  const readConfig = (): { ok: true; config: RuntimeConfig } | { ok: false; problems: string[] } => {
    const loaded = loadConfig(file, { env: process.env, readSecrets: true });
    if (!loaded.ok) return { ok: false, problems: loaded.problems.map(formatProblem) };
    for (const warning of loaded.warnings) log.warn({ problem: formatProblem(warning) }, 'configuration');
    const { config } = loaded;
    if (admin !== null && !isLoopback(admin.host) && config.admin.token === null) {
      return {
        ok: false,
        problems: ['--admin: an address that others can reach needs admin.token in the configuration'],
      };
    }
    return {
      ok: true,
      config: {
        ...config,
        listen: listen ?? config.listen,
        admin: { ...config.admin, listen: admin ?? config.admin.listen },
      },
    };
  };
  const log = openLog('info');
  const read = readConfig();
  if (!read.ok) {
    process.stderr.write(`${read.problems.join('\n')}\n`);
    log.flush();
    process.exit(FAULTY);
  }
  const { config } = read;
  log.setLevel(config.log.level);

  const fault = (error: unknown) => {
    log.fatal({ err: error }, 'uncaught error: the process ends');
    log.flush();
    process.exit(FAULTY);
  };
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);

  const app = new App({
    config,
    fileName: file,
    readConfig,
    log,
    clock: systemClock,
    chance: Math.random,
    environment: process.env,
  });

  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) {
      log.warn({ signal }, 'stopped at once');
      log.flush();
      process.exit(TERMINATED);
    }
    stopping = true;
    app.drain().then(() => {
      log.info({ signal }, 'stopped');
      log.flush();
      process.exit(0);
    }, fault);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => void app.reload());

  app.listen().then(
    (urls) => log.info({ ...urls, pid: process.pid, models: config.models.size }, 'listening'),
    (error: NodeJS.ErrnoException) => {
      const hint =
        error.code === 'EADDRINUSE'
          ? ' Another process has this port: choose another with --listen or --admin.'
          : '';
      process.stderr.write(`spillway: cannot listen: ${error.message}.${hint}\n`);
      log.flush();
      process.exit(FAULTY);
    },
  );
}

main();
