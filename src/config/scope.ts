import { nearest } from '../core/nearest.ts';
import { isSecret } from '../schema/walk.ts';
import { shown } from './issues.ts';
import { find, keysAt } from './located.ts';
import { formatPath, type Path, type Problem } from './problem.ts';
import { configSchema } from './schema.ts';
import type { Located, Source } from './source.ts';

/** What compiling needs to know of the file beside its data: where things stand, what may be said of them, which names there are. */
export class Scope {
  readonly file: string;
  readonly directory: string;
  /** False: files of certificates are not looked at. */
  readonly readSecrets: boolean;
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly secrets = new Set<string>();
  /** Names of the file as it was written, those of faulty entries included: they are there, so to name them is no mistake. */
  readonly names: {
    providers: ReadonlySet<string>;
    models: ReadonlySet<string>;
    aliases: ReadonlySet<string>;
  };
  readonly #root: Located;
  readonly #damaged: readonly Path[];
  readonly #position: Source['position'];

  constructor(options: {
    file: string;
    directory: string;
    readSecrets: boolean;
    root: Located;
    names: Scope['names'];
    damaged: readonly Path[];
    position: Source['position'];
  }) {
    this.file = options.file;
    this.directory = options.directory;
    this.readSecrets = options.readSecrets;
    this.names = options.names;
    this.#root = options.root;
    this.#damaged = options.damaged;
    this.#position = options.position;
  }

  /** Tells of a problem with the value at `path`, or with a key that should be there. Never with what was already found faulty. */
  report(path: Path, message: string): void {
    const problem = this.#problem(path, message);
    if (problem !== null) this.problems.push(problem);
  }

  warn(path: Path, message: string): void {
    const problem = this.#problem(path, message);
    if (problem !== null) this.warnings.push(problem);
  }

  /** The value at `path` as a message may show it. */
  shown(path: Path): string {
    const { located, rest } = find(this.#root, path);
    return rest.length > 0 ? 'nothing' : shown(located, isSecret(configSchema, path));
  }

  /** Is the value at `path` a stand-in for one that was not to be read? */
  isUnknown(path: Path): boolean {
    const { located, rest } = find(this.#root, path);
    return rest.length === 0 && located.kind === 'scalar' && located.origin === 'unknown';
  }

  /** Did something stand at `path`, or below it, that was faulty and is no longer there? */
  isDamaged(path: Path): boolean {
    return this.#damaged.some((damage) => begins(path, damage));
  }

  /** `expected …, found …`, with the nearest of the names that would do. */
  reportName(path: Path, what: string, wanted: string, names: Iterable<string>): void {
    const known = [...names];
    const meant = nearest(wanted, known);
    const few =
      known.length === 0 ? 'there is none' : known.length <= 10 ? `there are: ${known.join(', ')}` : '';
    const hint = meant === null ? few : `did you mean ${meant}?`;
    this.report(path, `there is no ${what} ${this.shown(path)}${hint === '' ? '' : `; ${hint}`}`);
  }

  #problem(path: Path, message: string): Problem | null {
    const { located, keyOffset, rest } = find(this.#root, path);
    const original = [...located.path, ...rest];
    if (this.#damaged.some((damage) => begins(damage, original) || begins(original, damage))) return null;
    if (this.isUnknown(path)) return null;
    // A map's own value begins at its first key, which says little: point at the name of the map.
    const offset = rest.length > 0 || located.kind !== 'scalar' ? keyOffset : located.offset;
    return { file: this.file, ...this.#position(offset), path: formatPath(original), message };
  }
}

/** Is `a` the beginning of `b`, or `b` itself? */
function begins(a: Path, b: Path): boolean {
  return a.length <= b.length && a.every((step, index) => step === b[index]);
}

export function namesOf(root: Located): Scope['names'] {
  return {
    providers: new Set([...keysAt(root, ['providers']), ...keysAt(root, ['virtual_keys'])]),
    models: new Set(keysAt(root, ['models'])),
    aliases: new Set(keysAt(root, ['aliases'])),
  };
}
