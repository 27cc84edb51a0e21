import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CapabilitiesFile, capabilitiesSchema } from '../capabilities/schema.ts';
import type { CapabilityTable } from '../capabilities/settings.ts';
import { type BaseTable, capabilityEntries } from './capability-entries.ts';
import { errorCode } from './files.ts';
import { formatPath, type Problem } from './problem.ts';
import { Reports } from './reports.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';
import { readSource } from './source.ts';
import { readTableFile } from './table-file.ts';
import { validate } from './validate.ts';

/** The table that comes with the package: two folders up, from the sources and from what was built of them. */
const BUILT_IN = new URL('../../config/models.yaml', import.meta.url);

export interface CompiledCapabilities {
  /** What the first has on a model is all that counts of it. */
  tables: readonly CapabilityTable[];
  /** For people: the file, or `built in`; null = none. */
  from: string | null;
}

const NOTHING: CompiledCapabilities = { tables: [], from: null };

/**
 * Reads the file that `capabilities` names, or the usual one if it is there, else the one that comes with the package: without any, whatever a
 * new model refuses would be sent to it.
 */
export function compileCapabilities({ capabilities: named }: ConfigFile, scope: Scope): CompiledCapabilities {
  const file = readTableFile(named, { key: 'capabilities', usualName: 'models.yaml' }, scope);
  if (file.kind === 'unknown' || (file.kind === 'none' && file.said)) return NOTHING;
  if (file.kind === 'none') {
    const base = builtIn();
    if (base.problems.length === 0) return { tables: [base.read.table], from: 'built in' };
    scope.problems.push(...base.problems);
    return NOTHING;
  }
  const { tables, problems, warnings } = readCapabilities(file.name, file.text, scope.names.providers);
  scope.problems.push(...problems);
  scope.warnings.push(...warnings);
  return problems.length === 0 ? { tables, from: file.name } : NOTHING;
}

/** A file of capabilities, or all that is wrong with it. `providers`: those that there are. */
export function readCapabilities(
  file: string,
  text: string,
  providers: ReadonlySet<string>,
): { tables: readonly CapabilityTable[]; problems: Problem[]; warnings: Problem[] } {
  const base = () => builtIn();
  const { read, problems, warnings, extended } = readTable(file, text, providers, base);
  const tables = extended === null ? [read.table] : [read.table, extended.table];
  return { tables: problems.length === 0 ? tables : [], problems, warnings };
}

interface ReadTable {
  read: BaseTable;
  extended: BaseTable | null;
  problems: Problem[];
  warnings: Problem[];
}

const EMPTY: BaseTable = { table: { spellings: [], entries: [] }, said: new Map() };

function readTable(
  file: string,
  text: string,
  providers: ReadonlySet<string>,
  base: () => ReadTable,
): ReadTable {
  const { root, problems, position } = readSource(file, text, null, '`models`');
  const failed: ReadTable = { read: EMPTY, extended: null, problems, warnings: [] };
  if (root === null) return failed;
  const { data, faults, damaged } = validate<CapabilitiesFile>(capabilitiesSchema, root);
  for (const { path, message, offset } of faults) {
    problems.push({ file, ...position(offset), path: formatPath(path), message });
  }
  if (data === null) return failed;
  const reports = new Reports({ file, schema: capabilitiesSchema, root, damaged, position });
  const below = data.extends === undefined ? null : base();
  if (below !== null) problems.push(...below.problems);
  const extended = below?.read ?? null;
  const read = capabilityEntries(data, reports, providers, extended);
  problems.push(...reports.problems);
  return { read, extended, problems, warnings: reports.warnings };
}

/** What was made of the built-in table, as long as its text stays the same: reading it costs more than the rest of a small configuration. */
let known: { text: string; table: ReadTable } | null = null;

function builtIn(): ReadTable {
  const file = fileURLToPath(BUILT_IN);
  let text: string;
  try {
    text = readFileSync(BUILT_IN, 'utf8');
  } catch (error) {
    const message = `cannot read the table that comes with the package (${errorCode(error)}); name one under \`capabilities\`, or none: ""`;
    return {
      read: EMPTY,
      extended: null,
      problems: [{ file, line: null, column: null, path: '', message }],
      warnings: [],
    };
  }
  if (known?.text === text) return known.table;
  // It extends nothing itself.
  const table = readTable(file, text, new Set(), () => ({
    read: EMPTY,
    extended: null,
    problems: [],
    warnings: [],
  }));
  known = { text, table };
  return table;
}
