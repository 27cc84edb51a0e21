import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { programFile } from '../core/program-file.ts';
import { errorCode, isOfThisProcess, NO_ROOM, type ReadFiles, TOO_LATE } from './files.ts';
import { filesNamedIn } from './substitute.ts';

/** A file that is not there by then hangs on something, a mount perhaps whose server is away. Milliseconds. */
const LIMIT = 5_000;

/** Each that hangs has a thread of its own, or the others would wait for it; up to as many. */
const MOST_THREADS = 128;

/** By which somebody else ends it, who ends all that belongs to a service perhaps: it may have hung until then. */
const TOLD_TO_END: ReadonlySet<NodeJS.Signals | null> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);

/** What runs in the other process. */
const READER = programFile('config/file-reader');

/**
 * Reads the files that a text names with `${file:...}`, for as long as that may take: what has not been read by then is said to be too late. It is done in
 * another process, for who reads from a mount that hangs cannot be stopped by anything but its end, and a thread that cannot be stopped would keep
 * this process from ending. Where the system has no room for that process, each file is told of with the code for it; what could not be tried for
 * another reason is missing from the result.
 */
export function readNamed(text: string, directory: string): Promise<ReadFiles> {
  const named = filesNamedIn(text).map((name) => resolve(directory, name));
  const paths = [...new Set(named)].filter((path) => !isOfThisProcess(path));
  if (paths.length === 0) return Promise.resolve([]);
  const untried = (error: unknown): ReadFiles => {
    const code = errorCode(error);
    return NO_ROOM.has(code) ? paths.map((path) => [path, { code }] as const) : [];
  };
  let reader: ReturnType<typeof startReader>;
  try {
    reader = startReader(paths.length);
  } catch (error) {
    return Promise.resolve(untried(error));
  }
  // Then it may have no pipes.
  if (reader.pid === undefined)
    return new Promise((settle) => reader.once('error', (error) => settle(untried(error))));
  let said = '';
  reader.stdout.setEncoding('utf8').on('data', (part: string) => {
    said += part;
  });
  reader.stdin.on('error', () => {});
  // It stays open: its end tells the reader that this process is gone.
  reader.stdin.write(`${JSON.stringify(paths)}\n`);
  return new Promise((settle) => {
    reader.once('error', (error) => settle(untried(error)));
    reader.once('close', (_code, signal) => {
      // The last line may have been cut off.
      const read = said
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as ReadFiles[number]);
      const done = new Set(read.map(([path]) => path));
      const late = TOLD_TO_END.has(signal) ? paths.filter((path) => !done.has(path)) : [];
      settle([...read, ...late.map((path) => [path, { code: TOO_LATE }] as const)]);
    });
  });
}

function startReader(files: number) {
  return spawn(process.execPath, [READER], {
    // Nothing of the environment is its business.
    env: { UV_THREADPOOL_SIZE: String(Math.min(files, MOST_THREADS)) },
    // Nor what a terminal, or a supervisor, tells this process with its group.
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  });
}
