import type { TryRecord } from '../core/outcome.ts';
import type { Spent } from '../core/usage.ts';
import { type LedgerEntry, type LedgerSums, noSums } from '../quota/ledger.ts';
import type { LiveModel } from './live.ts';

/** A request that is over, as the ledger is told of it. */
export interface Booking {
  /** The key's id; null where no keys are asked for. */
  key: string | null;
  model: Pick<LiveModel, 'name' | 'label' | 'direct'>;
  /** Null: nothing answered it. */
  spent: Spent | null;
  /** `provider/model` that answered. */
  answered: string | null;
  tries: readonly TryRecord[];
}

/** For a request that was sent nowhere. */
const NO_TARGET = '-';

/** What a request adds to the ledger: a row for each target that was tried for it. */
export function ledgerRows({ key, model, spent, answered, tries }: Booking): LedgerEntry[] {
  const rows = new Rows(key ?? '-', model);
  for (const { target } of tries) rows.of(target).tries++;
  const sums = rows.of(answered ?? tries.at(-1)?.target ?? NO_TARGET);
  sums.requests++;
  if (spent !== null) {
    if (spent.parts === undefined) book(sums, spent);
    else for (const part of spent.parts) book(rows.of(part.target), part);
  }
  return rows.entries;
}

class Rows {
  readonly entries: LedgerEntry[] = [];
  readonly #key: string;
  readonly #model: Booking['model'];

  constructor(key: string, model: Booking['model']) {
    this.#key = key;
    this.#model = model;
  }

  /** They are few: mostly there is one. */
  of(target: string): LedgerSums {
    const { direct, label, name } = this.#model;
    // What clients make up is not a row.
    const known = direct && target !== NO_TARGET ? label : target;
    for (const entry of this.entries) if (entry.target === known) return entry.sums;
    const sums = noSums();
    this.entries.push({ key: this.#key, model: direct ? label : name, target: known, sums });
    return sums;
  }
}

function book(sums: LedgerSums, { usage, cost }: Pick<Spent, 'usage' | 'cost'>): void {
  sums.input += usage.input;
  sums.output += usage.output;
  sums.cached += usage.cached;
  sums.cacheWrite += usage.cacheWrite;
  sums.reasoning += usage.reasoning;
  if (cost === null) sums.unpriced++;
  else sums.cost += cost;
}
