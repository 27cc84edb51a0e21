import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RedisServer } from '../support/redis.ts';
import { writeTemporary } from './temporary.ts';

const BIN = join(import.meta.dirname, '../../bin/spillway.js');

/** A configuration with this Redis, and what else is said. */
export function configFor(t: TestContext, redis: unknown, state: object = {}, more = ''): string {
  return writeTemporary(t, `version: 1\nstate: ${JSON.stringify({ redis, ...state })}\n${more}`);
}

/** What a report of the command says of the user. */
export function credentialsIn(out: string): Credentials {
  const [, username, password] = /^ {2}user {6}(\S+)\n {2}password {2}(\S+)$/m.exec(out) ?? [];
  assert.ok(username !== undefined && password !== undefined, out);
  return { username, password };
}

export interface Credentials {
  username: string;
  password: string;
}

/** A connection of the tenant's; it is not made again when it is lost. Without a ready check, which wants INFO. */
export function connectAs(redis: RedisServer, { username, password }: Credentials, db = 0) {
  return redis.connect({ username, password, db, enableReadyCheck: false, retryStrategy: () => null });
}

/** Null: it went well. Else the first word of what Redis said. */
export async function codeOf(reply: Promise<unknown>): Promise<string | null> {
  try {
    await reply;
    return null;
  } catch (error) {
    return (error as Error).message.split(' ')[0] ?? '';
  }
}

/** Rules by the names of users. */
export async function usersOf(redis: RedisServer): Promise<Map<string, string[]>> {
  const lines = (await redis.call('ACL', 'LIST')) as string[];
  return new Map(lines.map((line) => [line.split(' ')[1] ?? '', line.split(' ').slice(2)]));
}

/** A process of its own that runs `spillway tenant`. */
export function start(
  t: TestContext,
  redis: unknown,
  args: readonly string[],
  env: Record<string, string> = {},
) {
  const child = spawn(process.execPath, [BIN, 'tenant', ...args, '--config', configFor(t, redis)], { env });
  t.after(() => child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { child, ended };
}

type CommandInfo = [name: string, arity: number, ...unknown[]];

export interface KnownCommand {
  /** `config|get`. */
  name: string;
  /** A call with as many arguments as it takes at least, all of them this one. */
  words(argument: string): string[];
}

/** Every command and subcommand that the server has. */
export async function allCommands(redis: RedisServer): Promise<KnownCommand[]> {
  const known: KnownCommand[] = [];
  const add = ([name, arity, ...rest]: CommandInfo) => {
    const said = name.split('|');
    const more = Math.max(0, Math.abs(arity) - said.length);
    const subcommands = (rest.at(-1) ?? []) as CommandInfo[];
    // What only groups others cannot be run.
    if (subcommands.length === 0 || name === 'command') {
      known.push({ name, words: (argument) => [...said, ...Array<string>(more).fill(argument)] });
    }
    for (const subcommand of subcommands) add(subcommand);
  };
  for (const info of (await redis.call('COMMAND')) as CommandInfo[]) add(info);
  return known;
}
