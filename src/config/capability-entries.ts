import type { CapabilitiesFile, CapabilityEntryFile, SaidOfModel } from '../capabilities/schema.ts';
import type { CapabilityTable } from '../capabilities/settings.ts';
import { capabilitiesOf } from '../capabilities/words.ts';
import { isPattern } from '../core/model-names.ts';
import { nearest } from '../core/nearest.ts';
import { checkNames, checkProviders } from './named-entries.ts';
import { formatPath, type Path } from './problem.ts';
import type { Reports } from './reports.ts';

/** What other files may build on. */
export interface BaseTable {
  table: CapabilityTable;
  /** What its entries say in the end, by their names. They are for all providers. */
  said: ReadonlyMap<string, SaidOfModel>;
}

/** Parameters that some model or other is known to refuse: what a name in a file is most likely to be. */
const LIKELY = [
  'temperature',
  'top_p',
  'top_k',
  'presence_penalty',
  'frequency_penalty',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'seed',
  'stop',
  'parallel_tool_calls',
  'service_tier',
  'verbosity',
  'user',
  'safety_identifier',
  'metadata',
  'store',
  'prediction',
  'web_search_options',
  'prompt_cache_key',
];
/** Without these it would be another request. */
const ESSENTIAL = ['model', 'messages', 'stream', 'tools', 'tool_choice', 'response_format', 'n'];

/** The entries of a file of capabilities, ready to be looked up. What is wrong with them goes to `reports`. `base`: what the file extends. */
export function capabilityEntries(
  file: CapabilitiesFile,
  reports: Reports,
  providers: ReadonlySet<string>,
  base: BaseTable | null,
): BaseTable {
  const names = new Map<string, string>();
  for (const [index, entry] of file.models.entries()) {
    const path = ['models', index];
    checkNames(entry, path, names, 'an entry', reports);
    checkProviders(entry, path, providers, reports);
    for (const key of ['refuses', 'takes_at_no_effort'] as const)
      checkParameters(entry[key] ?? [], [...path, key], reports);
  }
  const resolved = new Likeness(file.models, reports, base).all();
  for (const [index, entry] of file.models.entries())
    checkSaid(entry, resolved[index] ?? {}, ['models', index], reports);
  return {
    table: {
      spellings: file.spellings ?? base?.table.spellings ?? [],
      entries: file.models.map((entry, index) => ({
        names: entry.models,
        providers: entry.providers ?? null,
        value: capabilitiesOf(resolved[index] ?? {}),
      })),
    },
    said: new Map(
      file.models.flatMap(({ models }, index) =>
        models.map((name) => [name, resolved[index] ?? {}] as const),
      ),
    ),
  };
}

/** Works out what entries take over from those that they are like. */
class Likeness {
  readonly #entries: readonly CapabilityEntryFile[];
  readonly #reports: Reports;
  readonly #base: BaseTable | null;
  readonly #done = new Map<number, SaidOfModel>();

  constructor(entries: readonly CapabilityEntryFile[], reports: Reports, base: BaseTable | null) {
    this.#entries = entries;
    this.#reports = reports;
    this.#base = base;
  }

  all(): SaidOfModel[] {
    return this.#entries.map((_, index) => this.#resolve(index, []));
  }

  #resolve(index: number, trail: readonly number[]): SaidOfModel {
    const done = this.#done.get(index);
    const entry = this.#entries[index];
    if (done !== undefined || entry === undefined) return done ?? {};
    const { models: _models, providers: _providers, like, ...own } = entry;
    const said = like === undefined ? own : { ...this.#liked(like, index, [...trail, index]), ...own };
    this.#done.set(index, said);
    return said;
  }

  #liked(like: string, index: number, trail: readonly number[]): SaidOfModel {
    const path = ['models', index, 'like'];
    const other = this.#place(like, index);
    if (other === null) {
      const base = this.#base?.said.get(like);
      if (base !== undefined) return base;
      if (isPattern(like))
        this.#reports.report(path, 'expected the name of a model in full, as an entry has it');
      else this.#reports.reportName(path, 'entry for', like, this.#names(index));
      return {};
    }
    if (trail.includes(other)) {
      const circle = [...trail.slice(trail.indexOf(other)), other];
      const steps = circle.map((step) => formatPath(['models', step]));
      // Each circle is told once, where it is closed.
      this.#reports.report(path, `leads in a circle: ${steps.join(' -> ')}`);
      return {};
    }
    return this.#resolve(other, trail);
  }

  /** Another entry of that name: the one for all providers, if there is one. */
  #place(name: string, except: number): number | null {
    const named = this.#entries.flatMap(({ models, providers }, index) =>
      index !== except && models.includes(name) && !isPattern(name) ? [{ index, providers }] : [],
    );
    return (named.find(({ providers }) => providers === undefined) ?? named[0])?.index ?? null;
  }

  #names(except: number): string[] {
    const own = this.#entries.flatMap(({ models }, index) => (index === except ? [] : models));
    return [...own, ...(this.#base?.said.keys() ?? [])].filter((name) => !isPattern(name));
  }
}

function checkParameters(names: readonly string[], path: Path, reports: Reports): void {
  for (const [index, name] of names.entries()) {
    if (ESSENTIAL.includes(name)) {
      reports.report([...path, index], 'is no parameter that a request can do without');
    } else if (!LIKELY.includes(name) && nearest(name, LIKELY) !== null) {
      reports.warnName([...path, index], 'parameter', name, LIKELY);
    }
  }
}

/** What contradicts itself, with what was taken over; told where the entry itself says something of it. */
function checkSaid(own: CapabilityEntryFile, said: SaidOfModel, path: Path, reports: Reports): void {
  const report = (keys: readonly (keyof SaidOfModel)[], message: string) => {
    const key = keys.find((name) => own[name] !== undefined);
    if (key !== undefined) reports.report([...path, key], message);
  };
  const { context, max_output: maxOutput, refuses = [], efforts, default_effort: usual } = said;
  if (typeof context === 'number' && typeof maxOutput === 'number' && maxOutput > context) {
    report(['max_output', 'context'], '`max_output` is more than `context`, which prompt and answer share');
  }
  const unknown = (said.takes_at_no_effort ?? []).filter((name) => !refuses.includes(name));
  if (unknown.length > 0) {
    const named = unknown.map((name) => `\`${name}\``).join(', ');
    report(
      ['takes_at_no_effort', 'refuses'],
      `${named} of \`takes_at_no_effort\` is not among what it \`refuses\` at other efforts`,
    );
  }
  if (usual !== undefined && usual !== 'unknown' && efforts?.includes(usual) === false) {
    report(['default_effort', 'efforts'], `\`default_effort\` (${usual}) is not one of its \`efforts\``);
  }
}
