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
export function ledgerRows(booking: Booking): LedgerEntry[] {
  const { spent, answered, tries } = booking;
  const last = answered ?? tries.at(-1)?.target ?? NO_TARGET;
  // They are few: mostly there is one.
  const first = rowOf(last, booking);
  const rows = [first];
  for (const { target } of tries) sumsOf(target, rows, booking).tries++;
  first.sums.requests++;
  if (spent === null) return rows;
  if (spent.parts === undefined) book(first.sums, spent);
  else for (const part of spent.parts) book(sumsOf(part.target, rows, booking), part);
  return rows;
}

/** Of the target's row; there is one from now on. */
function sumsOf(target: string, rows: LedgerEntry[], booking: Booking): LedgerSums {
  const name = nameOf(target, booking);
  for (const row of rows) if (row.target === name) return row.sums;
  const row = rowOf(target, booking);
  rows.push(row);
  return row.sums;
}

function rowOf(target: string, booking: Booking): LedgerEntry {
  const { direct, label, name } = booking.model;
  return {
    key: booking.key ?? '-',
    model: direct ? label : name,
    target: nameOf(target, booking),
    sums: noSums(),
  };
}

/** What clients make up is not a row. */
function nameOf(target: string, { model: { direct, label } }: Booking): string {
  return direct && target !== NO_TARGET ? label : target;
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
