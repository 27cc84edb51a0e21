export { formatPath, type Path } from '../schema/path.ts';

/** Something in a configuration that keeps it from being used, or (as a warning) that cannot be what was meant. */
export interface Problem {
  /** As it was given to the loader. */
  file: string;
  /** From 1; null where the file could not be read at all. */
  line: number | null;
  column: number | null;
  /** Such as `models.smart.targets[0].retry`; empty for the whole file. */
  path: string;
  /** What was expected, what was found, and what to do. Never holds a secret. */
  message: string;
}

export function formatProblem({ file, line, column, path, message }: Problem): string {
  const place = line === null ? file : `${file}:${line}:${column}`;
  return path === '' ? `${place}: ${message}` : `${place}: ${path}: ${message}`;
}
