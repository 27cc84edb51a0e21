import { dirname, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { programFile } from '../core/program-file.ts';
import { compile, type Tables } from './compile.ts';
import { FilesAsRead, onDisk, type ReadFiles, RememberedFiles, ShortFiles } from './files.ts';
import { type Good, loadText, unreadable } from './load.ts';
import { readNamed } from './named-files.ts';
import type { Problem } from './problem.ts';
import type { RuntimeConfig } from './runtime.ts';
import type { ConfigFile } from './schema.ts';
import { Scope } from './scope.ts';
import type { Located } from './source.ts';

/** What a thread is to read. */
export interface Task {
  file: string;
  text: string;
  env: Readonly<Record<string, string | undefined>>;
  /** What the text takes values from, as it was read beforehand. */
  named: ReadFiles;
}

/** What a configuration says, read and checked: it can be sent to another thread or process, to be compiled there. Holds secrets: for memory only. */
export interface Findings {
  data: ConfigFile;
  tables: Tables;
  /** What was read beside itself. */
  files: ReadFiles;
}

export type Found =
  | { ok: true; findings: Findings; warnings: Problem[] }
  | { ok: false; problems: Problem[] };

export type LoadedAside =
  | { ok: true; config: RuntimeConfig; findings: Findings; warnings: Problem[] }
  | { ok: false; problems: Problem[] };

/** Shorter files are read in fewer milliseconds than a thread takes to begin. Characters. */
export const LARGE = 256 * 1024;

/** What runs in the thread. */
const THREAD = programFile('config/aside-thread');

/**
 * The same as `loadConfig`, secrets and all, for a process that has something else to do: where it or a table that it names is large, all is read
 * and checked in a thread.
 */
export async function loadAside(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LoadedAside> {
  let text: string;
  try {
    text = onDisk.read(file);
  } catch (error) {
    return { ok: false, problems: [unreadable(file, error)] };
  }
  const task: Task = { file, text, env, named: await readNamed(text, dirname(resolve(file))) };
  if (text.length < LARGE) {
    const short = new ShortFiles(filesOf(task), LARGE);
    const files = new RememberedFiles(short);
    const loaded = loadText(file, text, { env, readSecrets: true, files });
    if (!short.metLonger) return loaded.ok ? { ...foundBy(loaded, files), config: loaded.config } : loaded;
  }
  const found = await inThread(task);
  if (!found.ok) return found;
  const compiled = compileFindings(found.findings, { file, env });
  // It is not taken over in the same turn.
  await nextTurn();
  return compiled.ok ? { ...found, config: compiled.config } : compiled;
}

/** What runs in the thread. */
export function find(task: Task): Found {
  const { file, text, env } = task;
  const files = new RememberedFiles(filesOf(task));
  const loaded = loadText(file, text, { env, readSecrets: true, files });
  return loaded.ok ? foundBy(loaded, files) : loaded;
}

function filesOf({ named }: Task): FilesAsRead {
  return new FilesAsRead(named, onDisk);
}

function foundBy({ data, tables, warnings }: Good, files: RememberedFiles): Extract<Found, { ok: true }> {
  return { ok: true, findings: { data, tables, files: files.all }, warnings };
}

/** Never rejects. */
function inThread(task: Task): Promise<Found> {
  const { promise, resolve } = Promise.withResolvers<Found>();
  // A mistake of ours, or the want of memory; not its words, which may be those of the file.
  const failed = (error: unknown) => resolve({ ok: false, problems: [unreadable(task.file, error)] });
  try {
    const thread = new Worker(THREAD, { workerData: { ...task, env: { ...task.env } } satisfies Task });
    thread.once('message', resolve).once('error', failed).once('exit', failed);
  } catch (error) {
    failed(error);
  }
  return promise;
}

/** A file has no values with a place here, but it needs none: whatever there is to tell was told where it was checked. */
const NOWHERE: Located = { kind: 'map', path: [], offset: 0, entries: new Map() };

/** `file`: where it was found. */
export function compileFindings(
  { data, tables, files }: Findings,
  { file, env }: Pick<Task, 'file' | 'env'>,
): { ok: true; config: RuntimeConfig } | { ok: false; problems: Problem[] } {
  const scope = new Scope({
    file,
    env,
    readSecrets: true,
    directory: dirname(resolve(file)),
    files: new FilesAsRead(files),
    root: NOWHERE,
    names: {
      providers: new Set([...Object.keys(data.providers), ...Object.keys(data.virtual_keys)]),
      models: new Set(Object.keys(data.models)),
      aliases: new Set(Object.keys(data.aliases)),
    },
    damaged: [],
    position: () => ({ line: 1, column: 1 }),
  });
  const { config } = compile(data, scope, tables);
  return scope.problems.length === 0 ? { ok: true, config } : { ok: false, problems: scope.problems };
}
