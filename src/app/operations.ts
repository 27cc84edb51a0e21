import { inPieces, type Told } from '../accounting/aggregate.ts';
import type { Book } from '../accounting/book.ts';
import { inWords } from '../accounting/exposition.ts';
import type { Metrics } from '../accounting/metrics.ts';
import type { Clock } from '../core/clock.ts';
import { usageReport } from '../pipeline/usage-report.ts';
import type { QuotaStore } from '../quota/store.ts';
import type { AdminHandlers, UpstreamRows, UpstreamStatus } from '../server/admin.ts';
import type { TenantAdmin } from '../tenants/admin.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Current } from './current.ts';
import type { SharedState } from './shared-state.ts';

/** What operators ask of a process, and what a primary asks of a worker to answer them. */
export interface Operations extends AdminHandlers {
  notReady(): string | null;
  upstreams(): UpstreamRows;
  /** The metrics, to be added to those of others. */
  measured(): AsyncGenerator<Told[]>;
  /** Of these, the tenants that there are not, or no more. Null: that cannot be known here just now. */
  withoutTenant(ids: readonly string[]): string[] | null;
  /** Resolves when changes of tenants that others made so far are in force here. */
  followTenants(): Promise<void>;
  readonly ledger: Pick<QuotaStore, 'flush' | 'ledger'>;
}

/** The parts of the app that know the answers. */
export interface OperationsParts extends Pick<AdminHandlers, 'failed'> {
  current: Current;
  clock: Clock;
  metrics: Metrics;
  book: Book;
  state: SharedState;
  registry: UpstreamRegistry;
  tenants: TenantAdmin;
  notReady(): string | null;
}

export function appOperations(parts: OperationsParts): Operations {
  const { current, clock, metrics, book, state, registry, tenants } = parts;
  const { directory } = state;
  const isTenant = (id: string) => directory.isInFile(id) || directory.get(id) !== null;
  return {
    token: () => current.config.admin.token,
    metrics: async () => {
      book.forgetTenants(isTenant);
      return { text: await metrics.registry.metrics(), contentType: metrics.registry.contentType };
    },
    measured: () => {
      book.forgetTenants(isTenant);
      return inPieces(inWords(metrics.registry.getMetricsAsArray()));
    },
    withoutTenant: (ids) => (directory.isCurrent ? ids.filter((id) => !isTenant(id)) : null),
    notReady: parts.notReady,
    upstreams: () => ({
      upstreams: [...registry.upstreams()].map((upstream) => statusOf(upstream, clock)),
    }),
    tenants: () => tenants,
    followTenants: () => directory.refresh(),
    wall: () => clock.wall(),
    usage: (query) => usageReport(query, state.store),
    ledger: state.store,
    reload: () => current.reload(),
    failed: parts.failed,
  };
}

function statusOf(upstream: Upstream, clock: Clock): UpstreamStatus {
  const cooldown = upstream.cooldownLeft();
  const until = new Date(clock.wall() + cooldown).toISOString();
  return {
    id: upstream.id,
    provider: upstream.provider,
    model: upstream.model,
    breaker: upstream.breakerState,
    opens: upstream.opens,
    cooldown_until: cooldown > 0 ? until : null,
    in_flight: upstream.inFlight,
    last_error: upstream.lastError,
  };
}
