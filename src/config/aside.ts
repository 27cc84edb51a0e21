import { dirname, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { compile } from './compile.ts';
import { FilesAsRead, type ReadFiles, RememberedFiles } from './files.ts';
import { loadText, unreadable } from './load.ts';
import type { Problem } from './problem.ts';
import type { RuntimeConfig } from './runtime.ts';
import type { ConfigFile } from './schema.ts';
import { Scope } from './scope.ts';
import type { Located } from './source.ts';

/** What a thread is to read. */
export interface Task {
  file: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Instead of what is on the disk; null: the disk. */
  asRead: ReadFiles | null;
}

/** What it found: all that can be sent of it. */
export type Found = { files: ReadFiles } & (
  | { ok: true; data: ConfigFile; warnings: Problem[] }
  | { ok: false; problems: Problem[] }
);

/** `files`: all that was read for it. */
export type LoadedAside = { files: ReadFiles } & (
  | { ok: true; config: RuntimeConfig; warnings: Problem[] }
  | { ok: false; problems: Problem[] }
);

/** Shorter files are read in fewer milliseconds than a thread takes to begin. Characters. */
export const LARGE = 256 * 1024;

/** What runs in the thread: the file beside this one, as source or built. */
const THREAD = import.meta.filename.replace(/aside(?=\.[jt]s$)/, 'aside-thread');

/**
 * The same as `loadConfig`, secrets and all, for a process that has something else to do: what is large is read and checked in a thread, which
 * takes along all that it needed for it.
 */
export async function loadAside(task: Task): Promise<LoadedAside> {
  const { file, env, asRead } = task;
  const files = new RememberedFiles(asRead);
  let text: string;
  try {
    text = files.read(file);
  } catch (error) {
    return { ok: false, problems: [unreadable(file, error)], files: files.all };
  }
  if (text.length < LARGE) {
    return { ...loadText(file, text, { env, readSecrets: true, files }), files: files.all };
  }
  const found = await inThread(task);
  if (!found.ok) return found;
  const loaded = compiled(found, task);
  // It is not taken over in the same turn.
  await nextTurn();
  return loaded;
}

/** Never rejects. */
function inThread(task: Task): Promise<Found> {
  const { promise, resolve } = Promise.withResolvers<Found>();
  // A mistake of ours, or the want of memory; not its words, which may be those of the file.
  const failed = (error: unknown) =>
    resolve({ ok: false, problems: [unreadable(task.file, error)], files: [] });
  try {
    const thread = new Worker(THREAD, { workerData: { ...task, env: { ...task.env } } satisfies Task });
    thread.once('message', resolve).once('error', failed).once('exit', failed);
  } catch (error) {
    failed(error);
  }
  return promise;
}

/** A file has no values with a place here, but it needs none: whatever there is to tell was told in the thread. */
const NOWHERE: Located = { kind: 'map', path: [], offset: 0, entries: new Map() };

function compiled(found: Extract<Found, { ok: true }>, { file, env }: Task): LoadedAside {
  const { data, warnings, files } = found;
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
  const { config } = compile(data, scope);
  return scope.problems.length === 0
    ? { ok: true, config, warnings, files }
    : { ok: false, problems: scope.problems, files };
}
