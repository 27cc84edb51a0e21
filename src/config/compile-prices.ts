import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { NO_PRICES, Prices } from '../pricing/prices.ts';
import { pricesSchema } from '../pricing/schema.ts';
import { priceEntries } from './price-entries.ts';
import { formatPath, type Problem } from './problem.ts';
import { Reports } from './reports.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';
import { readSource } from './source.ts';
import { errorCode } from './substitute.ts';
import { validate } from './validate.ts';

/** The file of prices where none is named. */
const USUAL_NAME = 'prices.yaml';

/** Reads the file that `prices` names, or the usual one if it is there. Null where nothing can be said of prices yet. */
export function compilePrices({ prices: named }: ConfigFile, scope: Scope): Prices | null {
  const path = ['prices'];
  if (named === '') return NO_PRICES;
  if (scope.isUnknown(path) || scope.isDamaged(path)) return null;
  let text: string;
  try {
    text = readFileSync(resolve(scope.directory, named ?? USUAL_NAME), 'utf8');
  } catch (error) {
    const code = errorCode(error);
    // Where not even secrets are at hand it may well be elsewhere, beside them.
    if (code === 'ENOENT' && !scope.readSecrets) return null;
    if (code === 'ENOENT' && named === undefined) return NO_PRICES;
    const shown = named === undefined ? `${USUAL_NAME} beside this file` : `the file ${scope.shown(path)}`;
    scope.report(path, `cannot read ${shown} (${code})`);
    return null;
  }
  const { prices, problems, warnings } = readPrices(shownName(named, scope), text, scope.names.providers);
  scope.problems.push(...problems);
  scope.warnings.push(...warnings);
  return problems.length === 0 ? prices : null;
}

/** What problems call the file: the way there from the configuration, without what `${...}` stands for. */
function shownName(named: string | undefined, scope: Scope): string {
  const name = named === undefined ? USUAL_NAME : scope.written(['prices']);
  return isAbsolute(name) ? name : join(dirname(scope.file), name);
}

/** A file of prices, or all that is wrong with it. `providers`: those that there are. */
export function readPrices(
  file: string,
  text: string,
  providers: ReadonlySet<string>,
): { prices: Prices; problems: Problem[]; warnings: Problem[] } {
  const { root, problems, position } = readSource(file, text, null, '`prices`');
  if (root === null) return { prices: NO_PRICES, problems, warnings: [] };
  const { data, faults, damaged } = validate(pricesSchema, root);
  for (const { path, message, offset } of faults) {
    problems.push({ file, ...position(offset), path: formatPath(path), message });
  }
  if (data === null) return { prices: NO_PRICES, problems, warnings: [] };
  const reports = new Reports({ file, schema: pricesSchema, root, damaged, position });
  const entries = priceEntries(data, reports, providers);
  problems.push(...reports.problems);
  const prices = problems.length === 0 ? new Prices({ spellings: data.spellings, entries }) : NO_PRICES;
  return { prices, problems, warnings: reports.warnings };
}
