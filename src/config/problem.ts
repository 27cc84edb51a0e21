/** Where something stands below the root: keys of maps and indexes of lists. */
export type Path = readonly (string | number)[];

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

/** `models.smart.targets[0]`; keys that are not plain words stand in brackets: `models["gpt-4.1"]`. `start`: what it goes on from. */
export function formatPath(path: Path, start = ''): string {
  let text = start;
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}
