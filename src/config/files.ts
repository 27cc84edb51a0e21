import { readFileSync } from 'node:fs';

/** Reads the files that a configuration is made of: itself, tables, certificates, secrets. */
export interface ConfigFiles {
  /** The whole text. Throws an error with the system's code where there is none to be had. */
  read(path: string): string;
}

export const onDisk: ConfigFiles = { read: (path) => readFileSync(path, 'utf8') };

/** What was read under each path, or the code of the error that it ended with. Holds secrets: for memory only. */
export type ReadFiles = readonly (readonly [path: string, found: { text: string } | { code: string }])[];

/** Reads from the disk, or what was read before, and remembers what was there. */
export class RememberedFiles implements ConfigFiles {
  readonly #source: ConfigFiles;
  readonly #found = new Map<string, { text: string } | { code: string }>();

  constructor(asRead: ReadFiles | null = null) {
    this.#source = asRead === null ? onDisk : new FilesAsRead(asRead);
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

/** The files as they were when another process read them, whatever has become of them since. */
export class FilesAsRead implements ConfigFiles {
  readonly #found: ReadonlyMap<string, { text: string } | { code: string }>;

  constructor(files: ReadFiles) {
    this.#found = new Map(files);
  }

  read(path: string): string {
    const found = this.#found.get(path) ?? { code: 'ENOENT' };
    if ('text' in found) return found.text;
    throw Object.assign(new Error(`${path} could not be read`), { code: found.code });
  }
}

/** `ENOENT` and the like: a system's whole message would name paths that may come from a secret. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unreadable';
}
