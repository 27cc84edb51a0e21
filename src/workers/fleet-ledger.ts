import { ApiError } from '../core/errors.ts';
import type { LedgerRow } from '../quota/ledger.ts';
import type { QuotaStore } from '../quota/store.ts';
import type { Fleet } from './fleet.ts';
import { WorkerGone, type WorkerProcess, WorkerSilent } from './worker-process.ts';

/** Any worker answers this at once, unless it hangs. Milliseconds. */
const SIGN_OF_LIFE = 2_000;
/** For what waits for Redis, which may take a few times `command_timeout`. Milliseconds. */
const STATE_LIMIT = 10_000;
/** When another try makes sense. Milliseconds. */
const AGAIN_IN = 1_000;

type Days = readonly string[];

/**
 * What the workers that accept requests now have counted. It is billed from: where one of them does not answer, or ends before it has told
 * its part, that is said, and nothing else. `isShared`: it is in Redis, where each brings what it counted, and any of them reads it all.
 */
export class FleetLedger implements Pick<QuotaStore, 'flush' | 'ledger'> {
  readonly #workers: readonly WorkerProcess[];
  readonly #isShared: boolean;
  /** The last one that has answered. */
  #heard: WorkerProcess | null = null;

  constructor(fleet: Fleet, isShared: boolean) {
    this.#workers = fleet.accepting;
    this.#isShared = isShared;
  }

  /** Comes before the first reading. */
  async flush(tenant: string | null): Promise<boolean> {
    const all = await Promise.all(this.#workers.map((worker) => this.#flushed(worker, tenant)));
    return all.every(Boolean);
  }

  async ledger(days: Days, tenant: string | null): Promise<LedgerRow[]> {
    if (this.#heard === null) throw unavailable('No worker accepts requests just now.');
    const workers = this.#isShared ? [this.#heard] : this.#workers;
    const rows = await Promise.all(workers.map((worker) => rowsOf(worker, days, tenant)));
    return rows.flat();
  }

  async #flushed(worker: WorkerProcess, tenant: string | null): Promise<boolean> {
    try {
      // Or one that hangs would be waited for as long as one that waits for Redis.
      await worker.ask('notReady', null, SIGN_OF_LIFE);
      const isWritten = await worker.ask('flush', { tenant }, STATE_LIMIT);
      this.#heard = worker;
      return isWritten;
    } catch (error) {
      // Whoever has ended has nothing more to bring to Redis. Without it, what it counted is missing.
      if (this.#isShared && error instanceof WorkerGone) return true;
      throw sayable(error, worker);
    }
  }
}

async function rowsOf(worker: WorkerProcess, days: Days, tenant: string | null): Promise<LedgerRow[]> {
  try {
    return await worker.ask('ledger', { days, tenant }, STATE_LIMIT);
  } catch (error) {
    throw sayable(error, worker);
  }
}

function sayable(error: unknown, { number }: WorkerProcess): unknown {
  if (error instanceof WorkerSilent) return unavailable(`Worker ${number} does not answer.`);
  if (error instanceof WorkerGone) return unavailable(`Worker ${number} ended while it was asked.`);
  return error;
}

function unavailable(why: string): ApiError {
  const message = `Usage cannot be read now. ${why} Try again shortly.`;
  return new ApiError('state_unavailable', message, { retryAfterMs: AGAIN_IN });
}
