import { storeAway } from '../core/errors.ts';
import { LEDGER_SUMS, type LedgerRow, type LedgerSums } from '../quota/ledger.ts';
import type { QuotaStore } from '../quota/store.ts';
import { StateUnavailable } from '../state/unavailable.ts';

/** What an operator may sum up by, and narrow to. */
export const GROUPINGS = ['day', 'tenant', 'key', 'model', 'provider', 'target'] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface UsageQuery {
  /** `2026-11-22`; both are included, and none is left out between them. */
  days: readonly string[];
  /** Each once. The rows are sorted by them in this order. None: one row. */
  by: readonly Grouping[];
  /** Only what has these values. */
  only: Readonly<Partial<Record<Grouping, string>>>;
}

/** What is said of each group, under the names that it is read by. */
const FIGURES: Readonly<Record<keyof LedgerSums, string>> = {
  requests: 'requests',
  tries: 'tries',
  input: 'input_tokens',
  output: 'output_tokens',
  cached: 'cached_tokens',
  cacheWrite: 'cache_write_tokens',
  reasoning: 'reasoning_tokens',
  cost: 'cost_usd',
  unpriced: 'unpriced_requests',
};

export const FIGURE_NAMES: readonly string[] = LEDGER_SUMS.map((sum) => FIGURES[sum]);

export interface UsageReport {
  rows: readonly { group: readonly string[]; figures: readonly string[] }[];
  total: readonly string[];
}

/** Days read in one go: what is held in memory are the groups and the rows of so many days, not those of a year. */
const DAYS_AT_ONCE = 10;

/** The ledger, with all that was settled here so far. Whole, or an ApiError: figures of which a part is missing would be billed from. */
export async function usageReport(
  { days, by, only }: UsageQuery,
  store: Pick<QuotaStore, 'flush' | 'ledger'>,
): Promise<UsageReport> {
  const sums = new Sums(by);
  const narrowed = Object.entries(only) as [Grouping, string][];
  try {
    if (!(await store.flush(only.tenant ?? null))) throw new StateUnavailable('not all is written yet');
    for (let at = 0; at < days.length; at += DAYS_AT_ONCE) {
      const rows = await store.ledger(days.slice(at, at + DAYS_AT_ONCE), only.tenant ?? null);
      for (const row of rows) {
        if (narrowed.every(([grouping, value]) => fieldOf(row, grouping) === value)) sums.add(row);
      }
    }
  } catch (error) {
    if (!(error instanceof StateUnavailable)) throw error;
    throw storeAway('Usage cannot be read now: the store that keeps it is away.');
  }
  return sums.report();
}

interface Group {
  group: readonly string[];
  sums: bigint[];
}

/** In whole numbers of any size: nanodollars of all tenants and a year may be more than a number holds exactly. */
class Sums {
  readonly #by: readonly Grouping[];
  readonly #groups = new Map<string, Group>();
  readonly #total = zeros();

  constructor(by: readonly Grouping[]) {
    this.#by = by;
  }

  add(row: LedgerRow): void {
    const group = this.#by.map((grouping) => fieldOf(row, grouping));
    const id = JSON.stringify(group);
    let known = this.#groups.get(id);
    if (known === undefined) {
      known = { group, sums: zeros() };
      this.#groups.set(id, known);
    }
    for (const [i, name] of LEDGER_SUMS.entries()) {
      const amount = BigInt(row.sums[name]);
      known.sums[i] = (known.sums[i] ?? 0n) + amount;
      this.#total[i] = (this.#total[i] ?? 0n) + amount;
    }
  }

  report(): UsageReport {
    const groups = [...this.#groups.values()].sort((a, b) => compare(a.group, b.group));
    return {
      rows: groups.map(({ group, sums }) => ({ group, figures: written(sums) })),
      total: written(this.#total),
    };
  }
}

function zeros(): bigint[] {
  return LEDGER_SUMS.map(() => 0n);
}

function fieldOf(row: LedgerRow, grouping: Grouping): string {
  // Of `provider/model`, where the model may have slashes of its own.
  return grouping === 'provider' ? (row.target.split('/', 1)[0] ?? '') : row[grouping];
}

/** The same order everywhere, whatever language the machine speaks. */
function compare(a: readonly string[], b: readonly string[]): number {
  for (const [i, text] of a.entries()) {
    const other = b[i] ?? '';
    if (text !== other) return text < other ? -1 : 1;
  }
  return 0;
}

function written(sums: readonly bigint[]): string[] {
  return LEDGER_SUMS.map((name, i) => (name === 'cost' ? dollars(sums[i] ?? 0n) : String(sums[i] ?? 0n)));
}

/** Nanodollars as dollars, to the last digit: `0.0012`. */
function dollars(nanodollars: bigint): string {
  const digits = String(nanodollars).padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return `${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`;
}
