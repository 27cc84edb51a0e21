/** What an operator bills from: sums for each day (UTC), tenant, key, model and target. */
export interface LedgerRow {
  /** `2026-11-22`: the day that the request was admitted on. */
  day: string;
  tenant: string;
  /** The key's id; `-` where no keys are asked for. */
  key: string;
  /** The name under `models` that was asked for: one of a closed set, as in metrics. */
  model: string;
  /** `provider/model`; `-` for requests that no target was tried for. */
  target: string;
  sums: LedgerSums;
}

/** Everything is whole. */
export interface LedgerSums {
  /** Requests that this target answered or, if none did, that ended with it. */
  requests: number;
  /** Tries sent to it. */
  tries: number;
  /** Tokens; `cached` and `cacheWrite` are part of `input`, `reasoning` is part of `output`. */
  input: number;
  output: number;
  cached: number;
  cacheWrite: number;
  reasoning: number;
  /** Nanodollars. */
  cost: number;
  /** Requests with tokens whose cost is not known. */
  unpriced: number;
}

/** In the order in which they are stored and printed. */
export const LEDGER_SUMS = [
  'requests',
  'tries',
  'input',
  'output',
  'cached',
  'cacheWrite',
  'reasoning',
  'cost',
  'unpriced',
] as const satisfies readonly (keyof LedgerSums)[];

/** Nothing so far. */
export function noSums(): LedgerSums {
  return {
    requests: 0,
    tries: 0,
    input: 0,
    output: 0,
    cached: 0,
    cacheWrite: 0,
    reasoning: 0,
    cost: 0,
    unpriced: 0,
  };
}

export function addSums(to: LedgerSums, more: LedgerSums): void {
  to.requests += more.requests;
  to.tries += more.tries;
  to.input += more.input;
  to.output += more.output;
  to.cached += more.cached;
  to.cacheWrite += more.cacheWrite;
  to.reasoning += more.reasoning;
  to.cost += more.cost;
  to.unpriced += more.unpriced;
}

/** What one request adds to the rows of its tenant and day. */
export type LedgerEntry = Pick<LedgerRow, 'key' | 'model' | 'target' | 'sums'>;

/** Names a row among those of its tenant and day: with the lengths, since a name may hold whatever would stand between them. */
export function nameOfRow({ key, model, target }: Pick<LedgerRow, 'key' | 'model' | 'target'>): string {
  return `${key.length} ${model.length} ${key}${model}${target}`;
}

/** The day that a time of the store falls on. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
