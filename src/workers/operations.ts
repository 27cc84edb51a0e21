import type { Log } from '../accounting/log.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import type { Clock } from '../core/clock.ts';
import { ApiError } from '../core/errors.ts';
import { usageReport } from '../pipeline/usage-report.ts';
import type { AdminHandlers, UpstreamRows } from '../server/admin.ts';
import type { TenantOperations } from '../tenants/admin.ts';
import type { Fleet } from './fleet.ts';
import { FleetLedger } from './fleet-ledger.ts';
import type { Measurements } from './measurements.ts';
import { CHANGING, READING, type TenantOperation } from './questions.ts';
import { mergedRows } from './upstream-rows.ts';
import { WorkerGone, WorkerSilent } from './worker-process.ts';

export interface OperationsOptions {
  fleet: Fleet;
  measurements: Measurements;
  clock: Clock;
  log: Log;
  config(): RuntimeConfig;
  /** What is in the way of the process as a whole; null: nothing. */
  notReady(): string | null;
  reload: AdminHandlers['reload'];
}

/** For a probe, which itself waits for a second or so. Milliseconds. */
const PROBE_LIMIT = 500;
/** For whoever looks. Milliseconds. */
const LOOK_LIMIT = 2_000;
/** For what waits for Redis, which may take a few times `command_timeout`. Milliseconds. */
const STATE_LIMIT = 30_000;
/** When another try makes sense. Milliseconds. */
const AGAIN_IN = 1_000;

/** What operators ask of a gateway of several workers: answered by those whose business it is, together. */
export function fleetOperations(options: OperationsOptions): AdminHandlers {
  const { fleet, measurements, clock, log, config } = options;
  const tenants = tenantOperations(fleet);
  return {
    token: () => config().admin.token,
    metrics: () => measurements.text(fleet),
    notReady: async () => {
      const why = options.notReady();
      if (why !== null) return why;
      const said = await fleet.askAll('notReady', null, PROBE_LIMIT, (worker) => fleet.lastNotReady(worker));
      if (fleet.accepting.length === 0) return 'no worker accepts requests';
      return said.find((one) => one !== null) ?? null;
    },
    upstreams: () => upstreamRows(fleet),
    tenants: () => tenants,
    wall: () => clock.wall(),
    usage: (query) => usageReport(query, new FleetLedger(fleet, config().state.redis !== null)),
    reload: options.reload,
    failed: (error) => log.error({ err: error }, 'a mistake of the gateway'),
  };
}

/** One row for each upstream; workers that did not answer are named, so that nobody takes the rows for whole. */
async function upstreamRows(fleet: Fleet): Promise<UpstreamRows> {
  const missing: number[] = [];
  const told = await fleet.askAll('upstreams', null, LOOK_LIMIT, ({ number }, error) => {
    if (!(error instanceof WorkerGone)) missing.push(number);
    return null;
  });
  return { upstreams: mergedRows(told), ...(missing.length > 0 ? { missing_workers: missing.sort() } : {}) };
}

/** Done by one worker; a change is in force in all of them when it is answered. */
function tenantOperations(fleet: Fleet): TenantOperations {
  const ask = async (operation: TenantOperation, given: readonly unknown[]): Promise<unknown> => {
    const worker = fleet.anyone;
    if (worker === null) throw away('No worker accepts requests just now. Try again shortly.');
    try {
      return await worker.ask('tenants', { operation, given }, STATE_LIMIT);
    } catch (error) {
      if (!(error instanceof WorkerGone || error instanceof WorkerSilent)) throw error;
      throw away(
        'The worker that was to do it did not answer. Look before you ask again: a change may have been made all the same.',
      );
    } finally {
      // Who cannot be reached now, or cannot reach Redis, hears of it as other gateways do.
      if (isChange(operation)) await fleet.askAll('followTenants', null, LOOK_LIMIT, () => null);
    }
  };
  const all = [...READING, ...CHANGING].map((operation) => {
    return [operation, (...given: unknown[]) => ask(operation, given)];
  });
  return Object.fromEntries(all) as TenantOperations;
}

function isChange(operation: TenantOperation): boolean {
  return (CHANGING as readonly TenantOperation[]).includes(operation);
}

function away(message: string): ApiError {
  return new ApiError('state_unavailable', message, { retryAfterMs: AGAIN_IN });
}
