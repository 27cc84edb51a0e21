import { addSums, dayOf, type LedgerEntry, type LedgerRow, nameOfRow } from './ledger.ts';

const DAY = 86_400_000;

/** Those of one day and tenant. */
class Rows {
  readonly #rows = new Map<string, LedgerRow>();
  /** What was booked last: most requests of a tenant are like the one before. */
  #last: LedgerRow | null = null;

  find(entry: LedgerEntry): LedgerRow | undefined {
    const last = this.#last;
    if (last !== null && isFor(last, entry)) return last;
    const found = this.#rows.get(nameOfRow(entry));
    if (found !== undefined) this.#last = found;
    return found;
  }

  add(row: LedgerRow): void {
    this.#rows.set(nameOfRow(row), row);
  }

  all(): Iterable<LedgerRow> {
    return this.#rows.values();
  }
}

function isFor(row: LedgerRow, { key, model, target }: LedgerEntry): boolean {
  return row.target === target && row.model === model && row.key === key;
}

/** The ledger of one process: gone with it. */
export class MemoryLedger {
  /** Days that a day is kept after its end. */
  readonly #daysKept: number;
  /** By day, then by tenant. */
  readonly #days = new Map<string, Map<string, Rows>>();
  /** The day last booked on, and its tenants: printing dates is dear, and most requests are of the same one. */
  #last = { number: Number.NaN, day: '', tenants: new Map<string, Rows>() };
  /** The newest day on which old ones were dropped, counted since 1970. */
  #droppedOn = Number.NEGATIVE_INFINITY;

  constructor(daysKept: number) {
    this.#daysKept = daysKept;
  }

  /** Adds what a request that was admitted at `at` came to. */
  add(tenant: string, entries: readonly LedgerEntry[], at: number, now: number): void {
    this.#dropOld(now);
    const number = Math.floor(at / DAY);
    if (entries.length === 0 || number < this.#droppedOn - this.#daysKept) return;
    if (number !== this.#last.number) this.#last = { number, ...this.#dayAt(at) };
    const { day, tenants } = this.#last;
    let rows = tenants.get(tenant);
    if (rows === undefined) {
      rows = new Rows();
      tenants.set(tenant, rows);
    }
    for (const entry of entries) {
      const { key, model, target, sums } = entry;
      const row = rows.find(entry);
      if (row !== undefined) addSums(row.sums, sums);
      else rows.add({ day, tenant, key, model, target, sums: { ...sums } });
    }
  }

  #dayAt(at: number): { day: string; tenants: Map<string, Rows> } {
    const day = dayOf(at);
    let tenants = this.#days.get(day);
    if (tenants === undefined) {
      tenants = new Map();
      this.#days.set(day, tenants);
    }
    return { day, tenants };
  }

  /** Copies of the rows of these days, of one tenant or of all. */
  rows(days: readonly string[], tenant: string | null, now: number): LedgerRow[] {
    this.#dropOld(now);
    const found: LedgerRow[] = [];
    for (const day of new Set(days)) {
      for (const [of, rows] of this.#days.get(day) ?? []) {
        if (tenant !== null && of !== tenant) continue;
        for (const row of rows.all()) found.push({ ...row, sums: { ...row.sums } });
      }
    }
    return found;
  }

  #dropOld(now: number): void {
    const today = Math.floor(now / DAY);
    if (today <= this.#droppedOn) return;
    this.#droppedOn = today;
    const oldest = dayOf((today - this.#daysKept) * DAY);
    for (const day of this.#days.keys()) if (day < oldest) this.#days.delete(day);
  }
}
