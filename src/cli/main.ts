import { parseArgs } from 'node:util';
import { nearest } from '../core/nearest.ts';
import type { ExitStatus, Terminal } from './terminal.ts';
import { version } from './version.ts';

const HELP = `Usage: spillway COMMAND

  check [FILE] [--no-env]         say everything that is wrong with a configuration
                                  (--no-env: without the environment and files that it names)
  explain MODEL [--config FILE]   print a model's tree with all that its targets inherit, and where from
  key                             make a new key for a client, and the line to put in the file
  serve [--config FILE] [--listen ADDRESS] [--admin ADDRESS]
                                  run the gateway
  tenant provision ID [--rotate] [--config FILE]
                                  make a user of Redis that can read the usage of this tenant and nothing else
                                  (--rotate: give the one that is there another password)
  tenant delete ID [--config FILE]
                                  remove that user
  help, --help                    print this
  --version                       print the version

Without FILE: what SPILLWAY_CONFIG names, else config/spillway.yaml.
Exit status: 0 all is well, 1 the configuration is faulty or it could not be done, 2 wrong usage.
`;

const DEFAULT_CONFIG = 'config/spillway.yaml';

/** Runs one command line, such as `['check', 'spillway.yaml']`. Null: the gateway has begun to run, and ends as it will. */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus | null> {
  const [command, ...rest] = args;
  try {
    return await dispatch(command, rest, terminal);
  } catch (error) {
    if (!(error instanceof WrongUsage) && !isParseError(error)) throw error;
    terminal.err(`spillway: ${error.message}\n\n${HELP}`);
    return 2;
  }
}

/** For `bin/spillway.js`. */
export async function main(args: readonly string[]): Promise<void> {
  const terminal: Terminal = {
    env: process.env,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  };
  // `spillway explain smart | head` has read enough: that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  // Set, not called: what was printed has to reach a pipe first.
  const status = await run(args, terminal);
  if (status !== null) process.exitCode = status;
}

class WrongUsage extends Error {}

function isParseError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}

async function dispatch(
  command: string | undefined,
  args: string[],
  terminal: Terminal,
): Promise<ExitStatus | null> {
  if (args.some((arg) => arg === '--help' || arg === '-h') && command !== 'serve') command = 'help';
  const named = terminal.env['SPILLWAY_CONFIG'];
  const defaultFile = named === undefined || named === '' ? DEFAULT_CONFIG : named;
  switch (command) {
    case 'check': {
      const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: { 'no-env': { type: 'boolean', default: false }, config: { type: 'string' } },
      });
      if (positionals.length + (values.config === undefined ? 0 : 1) > 1)
        throw new WrongUsage('check takes one file');
      const { check } = await import('./check.ts');
      return check(
        positionals[0] ?? values.config ?? defaultFile,
        { readSecrets: !values['no-env'] },
        terminal,
      );
    }
    case 'explain': {
      const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: { 'no-env': { type: 'boolean', default: false }, config: { type: 'string' } },
      });
      const [model] = positionals;
      if (model === undefined || positionals.length > 1)
        throw new WrongUsage('explain takes the name of one model');
      const { explain } = await import('./explain.ts');
      return explain(model, values.config ?? defaultFile, { readSecrets: !values['no-env'] }, terminal);
    }
    case 'key':
      parseArgs({ args, options: {} });
      return (await import('./key.ts')).printNewKey(terminal);
    case 'tenant': {
      const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: { rotate: { type: 'boolean', default: false }, config: { type: 'string' } },
      });
      const [action, id] = positionals;
      if ((action !== 'provision' && action !== 'delete') || id === undefined || positionals.length > 2)
        throw new WrongUsage('tenant takes `provision` or `delete`, and the id of one tenant');
      if (action === 'delete' && values.rotate) throw new WrongUsage('--rotate is for tenant provision');
      const { tenant } = await import('./tenant.ts');
      return tenant({ action, id, file: values.config ?? defaultFile, rotate: values.rotate }, terminal);
    }
    case 'serve':
      await (await import('./serve.ts')).serve(args);
      return null;
    case '--version':
    case 'version':
      terminal.out(`${version()}\n`);
      return 0;
    case '--help':
    case '-h':
    case 'help':
      terminal.out(HELP);
      return 0;
    case undefined:
      throw new WrongUsage('expected a command');
    default:
      throw new WrongUsage(`there is no command \`${command}\`${didYouMean(command)}`);
  }
}

function didYouMean(command: string): string {
  const meant = nearest(command, ['check', 'explain', 'key', 'serve', 'tenant', 'help']);
  return meant === null ? '' : `; did you mean ${meant}?`;
}
