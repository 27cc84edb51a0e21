import { DIMENSIONS } from '../dimensions.ts';
import { addSums, dayOf, LEDGER_SUMS, type LedgerEntry, nameOfRow } from '../ledger.ts';
import type { Limit } from '../limits.ts';
import { partAt } from '../periods.ts';
import type { Settlement } from '../store.ts';
import { numberOf, whole } from './keys.ts';

const DAY = 86_400_000;

/** Most of each kind in one batch, so that Redis is never kept busy by one for longer than some milliseconds. */
const MOST = { ids: 500, charges: 1000, rows: 200 };

/** To be added to what is used in a part. */
interface Charge {
  limit: Limit;
  part: number;
  amount: number;
}

/** Settlements that go to Redis together: sent again, they are the same. */
export interface Batch {
  /** Of the ledger's lines in it; null = there are none. */
  day: string | null;
  /** Requests whose reservations are given back. */
  releases: readonly string[];
  /** Requests to be undone. */
  cancels: readonly string[];
  /** Until when they could still be admitted, by Redis' own clock. */
  notBefore: number;
  charges: readonly Charge[];
  rows: readonly LedgerEntry[];
  /** Have all settlements so far gone into this batch or ones before it? */
  complete: boolean;
}

/**
 * Settlements of one tenant that are yet to be sent. They are summed up, so that a Redis that is away for long costs no more than
 * there are counters and rows, and the ids of what was admitted before.
 */
export class Pending {
  #releases: string[] = [];
  /** By counter and part. */
  readonly #charges = new Map<string, Charge>();
  /** By day, then by what names a row. */
  readonly #days = new Map<string, Map<string, LedgerEntry>>();
  /** The day of the last settlement: printing dates is dear, and most are of the same one. */
  #last = { number: Number.NaN, day: '' };

  get isEmpty(): boolean {
    return this.#releases.length === 0 && this.#charges.size === 0 && this.#days.size === 0;
  }

  add({ ticket, used, ledger }: Settlement): void {
    const { at, demands, held } = ticket;
    if (held && demands.length > 0) this.#releases.push(ticket.id);
    for (let i = 0; i < demands.length; i++) {
      const demand = demands[i];
      if (demand === undefined) continue;
      const { booking } = DIMENSIONS[demand.limit.of];
      if (booking === 'reserve') this.#charge(demand.limit, at, whole(used[i] ?? 0));
      else if (booking === 'count' && !held) this.#charge(demand.limit, at, whole(demand.amount));
    }
    if (ledger.length > 0) this.#book(ledger, at);
  }

  /** The next batch, at most as much as one may be; null if there is nothing. `cancels`: requests to be undone as well, and `notBefore`. */
  take(cancels: ReadonlyMap<string, number>): Batch | null {
    if (this.isEmpty && cancels.size === 0) return null;
    const releases = this.#releases.splice(0, MOST.ids);
    const charges = takeFirst(this.#charges, MOST.charges);
    const [day, rowsOfDay] = first(this.#days) ?? [null, null];
    const rows = rowsOfDay === null ? [] : takeFirst(rowsOfDay, MOST.rows);
    if (day !== null && rowsOfDay.size === 0) this.#days.delete(day);
    const undone = [...cancels].slice(0, MOST.ids);
    return {
      day,
      releases,
      cancels: undone.map(([id]) => id),
      notBefore: Math.max(0, ...undone.map(([, notAfter]) => notAfter)),
      charges,
      rows,
      complete: this.isEmpty,
    };
  }

  #charge(limit: Limit, at: number, amount: number): void {
    if (amount === 0) return;
    const part = partAt(limit.per, at).start;
    const name = `${part} ${limit.id}`;
    const known = this.#charges.get(name);
    if (known === undefined) this.#charges.set(name, { limit, part, amount });
    else known.amount = whole(known.amount + amount);
  }

  #book(entries: readonly LedgerEntry[], at: number): void {
    const number = Math.floor(at / DAY);
    if (number !== this.#last.number) this.#last = { number, day: dayOf(at) };
    const { day } = this.#last;
    let rows = this.#days.get(day);
    if (rows === undefined) {
      rows = new Map();
      this.#days.set(day, rows);
    }
    for (const entry of entries) {
      const name = nameOfRow(entry);
      const row = rows.get(name);
      if (row === undefined) rows.set(name, { ...entry, sums: { ...entry.sums } });
      else addSums(row.sums, entry.sums);
    }
  }
}

/** The script's arguments, but for the time and the batch's number: see `lua-settle.ts`. */
export function argumentsOf(batch: Batch, ledgerDays: number): (string | number)[] {
  const { day, releases, cancels, notBefore, charges, rows } = batch;
  const until = day === null ? 0 : Date.parse(day) + (ledgerDays + 1) * DAY;
  const args: (string | number)[] = [notBefore, releases.length, cancels.length, charges.length, until];
  args.push(...releases, ...cancels);
  for (const { limit, part, amount } of charges) {
    args.push(limit.id, `${numberOf(limit.per)} ${part} ${amount}`);
  }
  for (const row of rows) pushRow(args, row);
  return args;
}

/** As the beginning of fields that a person can read: `["ci","smart","openai/gpt-6-sol","input"]`. */
function pushRow(args: (string | number)[], { key, model, target, sums }: LedgerEntry): void {
  let word = '';
  for (const sum of LEDGER_SUMS) word += `${whole(sums[sum])} `;
  args.push(JSON.stringify([key, model, target]).slice(0, -1), word);
}

function first<K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined {
  for (const entry of map) return entry;
  return undefined;
}

/** Removes the first `most` and gives them. */
function takeFirst<K, V>(map: Map<K, V>, most: number): V[] {
  const taken: V[] = [];
  for (const [key, value] of map) {
    if (taken.length === most) break;
    taken.push(value);
    map.delete(key);
  }
  return taken;
}
