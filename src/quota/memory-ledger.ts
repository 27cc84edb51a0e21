import { dayOf, LEDGER_SUMS, type LedgerEntry, type LedgerRow } from './ledger.ts';

const DAY = 86_400_000;

/** Rows by their key, model and target in one string. */
type Rows = Map<string, LedgerRow>;

/** The ledger of one process: gone with it. */
export class MemoryLedger {
  /** Days that a day is kept after its end. */
  readonly #daysKept: number;
  /** By day, then by tenant. */
  readonly #days = new Map<string, Map<string, Rows>>();
  /** The day last booked on: printing dates is dear, and most requests are of the same one. */
  #last = { number: Number.NaN, day: '' };
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
    if (number !== this.#last.number) this.#last = { number, day: dayOf(at) };
    const { day } = this.#last;
    const tenants = getOrMake(this.#days, day, () => new Map<string, Rows>());
    const rows = getOrMake(tenants, tenant, () => new Map<string, LedgerRow>());
    for (const { key, model, target, sums } of entries) {
      // With the lengths, since a name may hold whatever would stand between them.
      const row = rows.get(`${key.length} ${model.length} ${key}${model}${target}`);
      if (row !== undefined) for (const name of LEDGER_SUMS) row.sums[name] += sums[name];
      else {
        rows.set(`${key.length} ${model.length} ${key}${model}${target}`, {
          day,
          tenant,
          key,
          model,
          target,
          sums: { ...sums },
        });
      }
    }
  }

  /** Copies of the rows of these days, of one tenant or of all. */
  rows(days: readonly string[], tenant: string | null, now: number): LedgerRow[] {
    this.#dropOld(now);
    const found: LedgerRow[] = [];
    for (const day of new Set(days)) {
      for (const [of, rows] of this.#days.get(day) ?? []) {
        if (tenant !== null && of !== tenant) continue;
        for (const row of rows.values()) found.push({ ...row, sums: { ...row.sums } });
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

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
