import type { z } from 'zod';
import type { Fault } from '../schema/faults.ts';
import { faultsOf } from './issues.ts';
import { find, remove, scalarAt, toPlain } from './located.ts';
import type { Path } from './problem.ts';
import type { Located, LocatedScalar } from './source.ts';

export interface Validated<T> {
  /** What is left of the file without what was wrong; null if nothing can be. */
  data: T | null;
  faults: (Fault & { offset: number })[];
  /** Known keys that had to be taken out: nothing that lies above or below them can be judged. */
  damaged: Path[];
}

/** Each pass takes at least one value out or reads one differently, so this is never reached by a file one can write. */
const MOST_PASSES = 10_000;

/**
 * Holds a file to its schema and finds all that is wrong with it, not just the first: what is faulty is told and taken out
 * of `root`, until the rest is right, and can be looked at for names that point nowhere.
 */
export function validate<T>(schema: z.ZodType<T>, root: Located): Validated<T> {
  const result: Validated<T> = { data: null, faults: [], damaged: [] };
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const parsed = schema.safeParse(toPlain(root));
    if (parsed.success) {
      result.data = parsed.data;
      return result;
    }
    // First give every ${...} the chance to be what is wanted there; what is still wrong then is truly wrong.
    if (parsed.error.issues.filter((issue) => readDifferently(root, issue)).length > 0) continue;
    if (!takeOut(schema, root, parsed.error.issues, result)) return result;
  }
  return result;
}

/** Text from the environment is text, unless a number or a yes/no is wanted; what is unknown can be anything. */
function readDifferently(root: Located, issue: z.core.$ZodIssue): boolean {
  const scalar = scalarAt(root, issue.path as Path);
  if (scalar === null || scalar.origin === 'file') return false;
  const readings = scalar.origin === 'unknown' ? standIns(issue) : wanted(scalar, issue);
  const next = readings[scalar.readings++];
  if (next === undefined) return false;
  scalar.value = next;
  return true;
}

function wanted({ value }: LocatedScalar, issue: z.core.$ZodIssue): (number | boolean)[] {
  if (issue.code !== 'invalid_type' || typeof value !== 'string') return [];
  const text = value.trim();
  if (issue.expected === 'boolean') return text === 'true' ? [true] : text === 'false' ? [false] : [];
  const isNumber = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text);
  return (issue.expected === 'number' || issue.expected === 'int') && isNumber ? [Number(text)] : [];
}

/** One of these fits every key that takes a single value. */
function standIns(issue: z.core.$ZodIssue): (string | number | boolean)[] {
  const named =
    issue.code === 'invalid_value' ? issue.values.filter((value) => typeof value === 'string') : [];
  return [named[0] ?? 'unknown', 1, 100, true, '1s', '1kb', '1/minute', '127.0.0.1:0'];
}

function takeOut<T>(
  schema: z.ZodType,
  root: Located,
  issues: readonly z.core.$ZodIssue[],
  result: Validated<T>,
): boolean {
  const gone: Path[] = [];
  for (const issue of issues) {
    const at = find(root, issue.path as Path);
    const isThere = at.rest.length === 0;
    const unknown = isThere && at.located.kind === 'scalar' && at.located.origin === 'unknown';
    for (const fault of faultsOf(schema, issue, isThere ? at.located : null)) {
      const { located, keyOffset, rest } = find(root, fault.path);
      const offset = fault.atKey || rest.length > 0 ? keyOffset : located.offset;
      const path = [...located.path, ...rest];
      // What was taken out in an earlier pass has been told, also where it leaves a list too short.
      const isShort = issue.code === 'too_small' && issue.origin === 'array';
      const isNews = !result.damaged.some((other) =>
        isThere ? isShort && isBelow(other, path) : comparePaths(other, path) === 0,
      );
      if (!unknown && isNews) result.faults.push({ ...fault, path, offset });
      if (issue.code !== 'unrecognized_keys') result.damaged.push(path);
      // A key that is missing cannot be taken out; what lacks it is.
      gone.push(rest.length === 0 ? fault.path : fault.path.slice(0, -1));
    }
  }
  // From the back, so that the indexes of lists hold for those still to go.
  const ordered = gone.toSorted(comparePaths).reverse();
  let removed = false;
  for (const [index, path] of ordered.entries()) {
    if (index > 0 && comparePaths(path, ordered[index - 1] ?? []) === 0) continue;
    removed = remove(root, path) || removed;
  }
  return removed;
}

function isBelow(path: Path, above: Path): boolean {
  return path.length > above.length && comparePaths(path.slice(0, above.length), above) === 0;
}

/** Document order within a list; what lies above comes first. */
function comparePaths(a: Path, b: Path): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]];
    if (x === y) continue;
    if (typeof x === 'number' && typeof y === 'number') return x - y;
    return String(x) < String(y) ? -1 : 1;
  }
  return a.length - b.length;
}
