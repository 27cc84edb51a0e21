import type { z } from 'zod';
import { nearest } from '../core/nearest.ts';
import { isSecret } from '../schema/walk.ts';
import { shown } from './issues.ts';
import { find, scalarAt } from './located.ts';
import { formatPath, type Path, type Problem } from './problem.ts';
import type { Located, Source } from './source.ts';

/** A file that is being compiled, as far as it takes to tell of it. */
export interface Reported {
  /** What problems call it. */
  file: string;
  schema: z.ZodType;
  root: Located;
  damaged: readonly Path[];
  position: Source['position'];
}

/** Collects what is wrong with the values of a file, each with its place. */
export class Reports {
  readonly file: string;
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #schema: z.ZodType;
  readonly #root: Located;
  readonly #damaged: readonly Path[];
  readonly #position: Source['position'];

  constructor({ file, schema, root, damaged, position }: Reported) {
    this.file = file;
    this.#schema = schema;
    this.#root = root;
    this.#damaged = damaged;
    this.#position = position;
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
    return rest.length > 0 ? 'nothing' : shown(located, isSecret(this.#schema, path));
  }

  /** Does anything stand at `path`? */
  has(path: Path): boolean {
    return find(this.#root, path).rest.length === 0;
  }

  /** The text at `path` as the file has it, before `${...}` was replaced. */
  written(path: Path): string {
    return scalarAt(this.#root, path)?.written ?? '';
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

  /** Tells that there is none of that name, with the nearest of the names that would do. */
  reportName(path: Path, what: string, wanted: string, names: Iterable<string>): void {
    this.report(path, this.#noSuch(path, what, wanted, names));
  }

  warnName(path: Path, what: string, wanted: string, names: Iterable<string>): void {
    this.warn(path, this.#noSuch(path, what, wanted, names));
  }

  #noSuch(path: Path, what: string, wanted: string, names: Iterable<string>): string {
    const known = [...names];
    const meant = nearest(wanted, known);
    const few =
      known.length === 0 ? 'there is none' : known.length <= 10 ? `there are: ${known.join(', ')}` : '';
    const hint = meant === null ? few : `did you mean ${meant}?`;
    return `there is no ${what} ${this.shown(path)}${hint === '' ? '' : `; ${hint}`}`;
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
