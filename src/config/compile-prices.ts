import { pricesSchema } from '../pricing/schema.ts';
import type { PriceTable } from '../pricing/settings.ts';
import { priceEntries } from './price-entries.ts';
import { formatPath, type Problem } from './problem.ts';
import { Reports } from './reports.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';
import { readSource } from './source.ts';
import { readTableFile } from './table-file.ts';
import { validate } from './validate.ts';

const NO_PRICES: PriceTable = { spellings: [], entries: [] };

/** Reads the file that `prices` names, or the usual one if it is there. Null where nothing can be said of prices yet. */
export function compilePrices({ prices: named }: ConfigFile, scope: Scope): PriceTable | null {
  const file = readTableFile(named, { key: 'prices', usualName: 'prices.yaml' }, scope);
  if (file.kind === 'unknown') return null;
  // Without its secrets, a file of prices beside the configuration may be where they are.
  if (file.kind === 'none') return file.said || scope.readSecrets ? NO_PRICES : null;
  const { table, problems, warnings } = readPrices(file.name, file.text, scope.names.providers);
  scope.problems.push(...problems);
  scope.warnings.push(...warnings);
  return problems.length === 0 ? table : null;
}

/** A file of prices, or all that is wrong with it. `providers`: those that there are. */
export function readPrices(
  file: string,
  text: string,
  providers: ReadonlySet<string>,
): { table: PriceTable; problems: Problem[]; warnings: Problem[] } {
  const { root, problems, position } = readSource(file, text, null, '`prices`');
  if (root === null) return { table: NO_PRICES, problems, warnings: [] };
  const { data, faults, damaged } = validate(pricesSchema, root);
  for (const { path, message, offset } of faults) {
    problems.push({ file, ...position(offset), path: formatPath(path), message });
  }
  if (data === null) return { table: NO_PRICES, problems, warnings: [] };
  const reports = new Reports({ file, schema: pricesSchema, root, damaged, position });
  const entries = priceEntries(data, reports, providers);
  problems.push(...reports.problems);
  const table = problems.length === 0 ? { spellings: data.spellings, entries } : NO_PRICES;
  return { table, problems, warnings: reports.warnings };
}
