import { readFileSync, statSync } from 'node:fs';

/** Reads the files that a configuration is made of: itself, tables, certificates, secrets. */
export interface ConfigFiles {
  /** The whole text. Throws an error with the system's code where there is none to be had. */
  read(path: string): string;
}

export const onDisk: ConfigFiles = {
  read(path) {
    // Whoever opens a pipe waits until somebody writes to it, and with him would everybody whom this process serves.
    if (!isOfThisProcess(path) && statSync(path).isFIFO()) throw unreadable(path, 'a pipe, not a file');
    return readFileSync(path, 'utf8');
  },
};

/** What stands there is another thing in each process: its standard input, say, or what a shell puts in the place of `<(...)`. */
export function isOfThisProcess(path: string): boolean {
  return /^\/(dev|proc)\//.test(path);
}

/** What was read under each path, or the code of the error that it ended with. Holds secrets: for memory only. */
export type ReadFiles = readonly (readonly [path: string, found: { text: string } | { code: string }])[];

/** Remembers what was there. */
export class RememberedFiles implements ConfigFiles {
  readonly #source: ConfigFiles;
  readonly #found = new Map<string, { text: string } | { code: string }>();

  constructor(source: ConfigFiles) {
    this.#source = source;
  }

  /** All that was read so far. */
  get all(): ReadFiles {
    return [...this.#found];
  }

  read(path: string): string {
    try {
      const text = this.#source.read(path);
      this.#found.set(path, { text });
      return text;
    } catch (error) {
      this.#found.set(path, { code: errorCode(error) });
      throw error;
    }
  }
}

/** Files as they were when somebody else read them, whatever has become of them since. */
export class FilesAsRead implements ConfigFiles {
  readonly #found: ReadonlyMap<string, { text: string } | { code: string }>;
  readonly #others: ConfigFiles;

  /** `others`: where those are that nobody read; nowhere unless said. */
  constructor(files: ReadFiles, others: ConfigFiles = NOWHERE) {
    this.#found = new Map(files);
    this.#others = others;
  }

  read(path: string): string {
    const found = this.#found.get(path);
    if (found === undefined) return this.#others.read(path);
    if ('text' in found) return found.text;
    throw unreadable(path, found.code);
  }
}

const NOWHERE: ConfigFiles = {
  read: (path) => {
    throw unreadable(path, 'ENOENT');
  },
};

/** Reads what is short, for whoever has no time for more. */
export class ShortFiles implements ConfigFiles {
  /** There was a longer one. */
  metLonger = false;
  readonly #source: ConfigFiles;
  readonly #longest: number;

  /** `longest`: characters. */
  constructor(source: ConfigFiles, longest: number) {
    this.#source = source;
    this.#longest = longest;
  }

  read(path: string): string {
    const text = this.#source.read(path);
    if (text.length <= this.#longest) return text;
    this.metLonger = true;
    throw unreadable(path, 'EFBIG');
  }
}

function unreadable(path: string, code: string): Error {
  return Object.assign(new Error(`${path} could not be read`), { code });
}

/** The code of a file that did not come in time. */
export const TOO_LATE = 'ETIMEDOUT';

/** The codes for the want of descriptors, of processes and of memory. */
export const NO_ROOM: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM']);

/** `ENOENT` and the like: a system's whole message would name paths that may come from a secret. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unreadable';
}
