import type { LedgerEntry, LedgerRow } from './ledger.ts';
import type { Demand, Limit } from './limits.ts';

export type { Demand } from './limits.ts';

/**
 * Where quotas are counted: in this process, or in Redis for all gateways. Both keep this contract and pass one test suite.
 *
 * Amounts are whole, in the units of the limit's dimension. What is taken is booked in the part of the period that admission fell
 * in, by the store's own clock, and settled there however late that is.
 */
export interface QuotaStore {
  /**
   * Takes all demands or none, in one atomic step. Taken means: `used` and `reserved` of every counter and the amount together are
   * within the limit. Each id is asked for once; a store whose answers may get lost on the way asks again by itself, and takes it once.
   * One that need not wait for anybody answers at once. Rejects with StateUnavailable (src/state/unavailable.ts) where the store cannot be reached.
   */
  admit(admission: Admission): Verdict | Promise<Verdict>;
  /**
   * Books what was used, and gives back what was held. A ticket goes back to the store that gave it, or whose place was taken while it
   * was away; settled again, nothing more happens. Done in the background, in order, again and again until the store has it, and applied
   * once.
   */
  settle(settlement: Settlement): void;
  /** Counters as they stand. Rejects with StateUnavailable. */
  standings(tenant: string, limits: readonly Limit[]): Promise<Standing[]>;
  /** The ledger's rows of these days (`2026-11-22`), of one tenant or of all. Rejects with StateUnavailable. */
  ledger(days: readonly string[], tenant: string | null): Promise<LedgerRow[]>;
  /** Resolves to true when what was settled so far (for one tenant, or all) has been applied, to false at once if the store is away. */
  flush(tenant: string | null): Promise<boolean>;
  /** Ends its work. What is not yet applied is lost. */
  close(): Promise<void>;
}

export interface Admission {
  tenant: string;
  /** Of the request: ours, never given twice. */
  id: string;
  /** Of different limits. None at all is admitted, even where the store cannot be reached. */
  demands: readonly Demand[];
}

/** A counter as it stands. Of an admission: after it if it was admitted, untouched if it was refused. */
export interface Standing {
  used: number;
  reserved: number;
  /** Until the amount that was refused fits, by time alone; 0 where it fits, null where it never will or nobody can know (`concurrent`). Milliseconds. */
  roomIn: number | null;
  /** Until all that is taken is back; 0 where nothing is. Null for `concurrent`. Milliseconds. */
  resetsIn: number | null;
  /** Only where the store was away and this process counted by itself: how much of the limit it gives out. */
  share?: number;
}

/** `standings`: of the demands, in their order. */
export type Verdict =
  | { kind: 'admitted'; standings: readonly Standing[]; ticket: Ticket }
  | { kind: 'refused'; standings: readonly Standing[] };

/** What an admission leaves in the hands of whoever settles it. */
export interface Ticket {
  tenant: string;
  id: string;
  /** When it was admitted, by the store's clock. Milliseconds since 1970. */
  at: number;
  demands: readonly Demand[];
  /** Does the store hold it? False where it was let in while the store was away: then everything is still to be booked. */
  held: boolean;
  /** The store's own note, that it has been settled: where nothing gets lost, that is all there is to be known of a ticket. Left out: no. */
  settled?: boolean;
}

export interface Settlement {
  ticket: Ticket;
  /** What was used, for each demand of the ticket in its order; what merely counts (`requests`) or is held (`concurrent`) is 0 here. */
  used: readonly number[];
  ledger: readonly LedgerEntry[];
}
