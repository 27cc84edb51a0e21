import { dirname, isAbsolute, join, resolve } from 'node:path';
import { errorCode } from './files.ts';
import type { Scope } from './scope.ts';

/** A key that names a file with a table, and where that stands if it names none. */
export interface TableKey {
  key: 'prices' | 'capabilities';
  /** Beside the configuration. */
  usualName: string;
}

export type TableFile =
  /** `name`: what problems call it, without what `${...}` stands for. */
  | { kind: 'file'; name: string; text: string }
  /** There is to be none, or nothing is said of one and the usual one is not there. */
  | { kind: 'none'; said: boolean }
  /** It cannot be read, which was told, or not yet. */
  | { kind: 'unknown' };

/** Reads the file that a key names, or the usual one if it is there. */
export function readTableFile(
  named: string | undefined,
  { key, usualName }: TableKey,
  scope: Scope,
): TableFile {
  const path = [key];
  if (named === '') return { kind: 'none', said: true };
  if (scope.isUnknown(path) || scope.isDamaged(path)) return { kind: 'unknown' };
  try {
    const text = scope.files.read(resolve(scope.directory, named ?? usualName));
    const name = named === undefined ? usualName : scope.written(path);
    return { kind: 'file', name: isAbsolute(name) ? name : join(dirname(scope.file), name), text };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' && named === undefined) return { kind: 'none', said: false };
    // Where not even secrets are at hand it may well be elsewhere, beside them.
    if (code === 'ENOENT' && !scope.readSecrets) return { kind: 'unknown' };
    const shown = named === undefined ? `${usualName} beside this file` : `the file ${scope.shown(path)}`;
    scope.report(path, `cannot read ${shown} (${code})`);
    return { kind: 'unknown' };
  }
}
