import type { Log } from '../accounting/log.ts';
import type { Metrics } from '../accounting/metrics.ts';
import { UpstreamSeries } from '../accounting/upstream-series.ts';
import { type Failure, isClientsFault } from '../core/outcome.ts';
import { concernsOperator } from '../pipeline/verdict.ts';
import type { CallEvents } from '../upstream/call.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** What the tries of all requests tell: to the metrics, and where somebody should look into it, to the log. */
export function callEvents(metrics: Metrics, log: Log, logsBodies: () => boolean): CallEvents {
  const known = new WeakMap<Upstream, UpstreamSeries>();
  const seriesOf = (upstream: Upstream) => {
    let series = known.get(upstream);
    if (series === undefined) {
      series = new UpstreamSeries(metrics, upstream.provider, upstream.modelLabel);
      known.set(upstream, series);
    }
    return series;
  };
  return {
    tried: (upstream, outcome, failure) => {
      seriesOf(upstream).tried(outcome);
      if (failure !== null) logFailure(log, upstream, failure, logsBodies());
    },
    firstToken: (upstream, ms) => seriesOf(upstream).firstToken.observe(ms / 1000),
    retryDenied: (upstream) => {
      metrics.retriesDenied.with({ upstream: upstream.label }).value++;
    },
    limited: (upstream) => {
      metrics.upstreamLimited.with({ upstream: upstream.label }).value++;
    },
    interrupted: (upstream) => seriesOf(upstream).interrupted(),
    continued: (upstream, how) => seriesOf(upstream).continued(how),
    dropped: (upstream) => seriesOf(upstream).droppedEvent(),
  };
}

/** Why a try failed is for whoever looks into it; that an upstream refuses us is for whoever runs the gateway. */
function logFailure(log: Log, { id }: Upstream, failure: Failure, logsBodies: boolean): void {
  const { kind, status, message } = failure;
  // What an upstream finds wrong with a prompt may quote it.
  const error = isClientsFault(failure) && !logsBodies ? undefined : message;
  const fields = { upstream: id, outcome: kind, status, error };
  if (concernsOperator(failure)) log.error(fields, 'upstream refuses us');
  else if (log.writes('debug')) log.debug(fields, 'try failed');
}
