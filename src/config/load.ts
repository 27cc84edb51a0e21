import { dirname, resolve } from 'node:path';
import { compile, lookOver, type Tables } from './compile.ts';
import type { Origins } from './compile-models.ts';
import { type ConfigFiles, errorCode, onDisk } from './files.ts';
import { shown } from './issues.ts';
import { substitutedIn } from './located.ts';
import { formatPath, type Problem } from './problem.ts';
import type { RuntimeConfig } from './runtime.ts';
import { type ConfigFile, configSchema, VERSION } from './schema.ts';
import { namesOf, Scope } from './scope.ts';
import { type Located, readSource, type Source } from './source.ts';
import { validate } from './validate.ts';

export interface LoadOptions {
  env: Readonly<Record<string, string | undefined>>;
  /**
   * False: neither the environment nor any other file is read, and nothing is said of values that would come from there. The
   * configuration then holds stand-ins, and is for looking at only.
   */
  readSecrets: boolean;
  /** What reads the file and those that it names; the disk unless said. */
  files?: ConfigFiles;
}

export type Loaded =
  | {
      ok: true;
      config: RuntimeConfig;
      /** What stands in the file, `${...}` replaced. */
      data: ConfigFile;
      /** What stands in the files of tables. */
      tables: Tables;
      /** What loads but cannot be what was meant. */
      warnings: Problem[];
      /** Where each target's settings came from. */
      origins: Origins;
      /** For people: the file of capabilities, or `built in`; null = none. */
      capabilitiesFrom: string | null;
      /** Texts that hold `${...}`, as they were written, by their place in the file: to be shown in place of their values. */
      written: ReadonlyMap<string, string>;
    }
  | { ok: false; problems: Problem[] };

/** One that can be used. */
export type Good = Extract<Loaded, { ok: true }>;

/** Reads a configuration whole, or says everything that is wrong with it. */
export function loadConfig(file: string, options: LoadOptions): Loaded {
  let text: string;
  try {
    text = (options.files ?? onDisk).read(file);
  } catch (error) {
    return { ok: false, problems: [unreadable(file, error)] };
  }
  return loadText(file, text, options);
}

export function unreadable(file: string, error: unknown): Problem {
  const code = errorCode(error);
  const message = code === 'ENOENT' ? 'there is no such file' : `the file cannot be read (${code})`;
  return { file, line: null, column: null, path: '', message };
}

/** The same for text that is at hand. `file` is what problems call it, and where relative paths begin. */
export function loadText(file: string, text: string, options: LoadOptions): Loaded {
  const surroundings = { files: onDisk, ...options, directory: dirname(resolve(file)) };
  const source = readSource(file, text, surroundings, '`version: 1`, `providers` and `models`');
  const { root, problems } = source;
  if (root === null) return { ok: false, problems };
  const version = checkVersion(file, root, source.position);
  if (version !== null) problems.push(version.problem);
  // A file for another version would be faulty from top to bottom: one word about it is enough.
  if (version?.isOther) return { ok: false, problems: inOrder(file, problems) };

  const names = namesOf(root);
  const { data, faults, damaged } = validate(configSchema, root);
  for (const { path, message, offset } of faults) {
    problems.push({ file, ...source.position(offset), path: formatPath(path), message });
  }
  if (data === null) return { ok: false, problems: inOrder(file, problems) };
  const { position } = source;
  const scope = new Scope({
    file,
    ...surroundings,
    root,
    names,
    damaged,
    position,
  });
  const compiled = compile(data, scope);
  lookOver(compiled, scope);
  problems.push(...scope.problems);
  if (problems.length > 0) return { ok: false, problems: inOrder(file, problems) };
  const written = new Map(substitutedIn(root).map((scalar) => [formatPath(scalar.path), scalar.written]));
  const { config, origins, tables } = compiled;
  return {
    ok: true,
    config,
    data,
    tables,
    origins,
    capabilitiesFrom: tables.capabilities.from,
    warnings: inOrder(file, scope.warnings),
    written,
  };
}

/** Told apart from the schema's own checks, because nothing else matters if the version is another one. */
function checkVersion(
  file: string,
  root: Located,
  position: Source['position'],
): { problem: Problem; isOther: boolean } | null {
  if (root.kind !== 'map') return null;
  const entry = root.entries.get('version');
  const where = { file, ...position(entry?.offset ?? root.offset), path: 'version' };
  if (entry === undefined) {
    return { problem: { ...where, message: `missing; expected \`version: ${VERSION}\`` }, isOther: false };
  }
  const { value } = entry;
  if (value.kind === 'scalar' && (value.origin === 'unknown' || String(value.value) === String(VERSION))) {
    value.value = VERSION;
    return null;
  }
  const message = `expected ${VERSION}, the only version that there is so far, found ${shown(value, false)}`;
  return { problem: { ...where, message }, isOther: true };
}

/** In the order of the file; what is wrong with others that it names comes afterwards. */
function inOrder(file: string, problems: Problem[]): Problem[] {
  const isOther = (problem: Problem) => Number(problem.file !== file);
  return problems.toSorted(
    (a, b) =>
      isOther(a) - isOther(b) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0) ||
      a.path.localeCompare(b.path),
  );
}
