import { newRegistry, type Registry } from './prometheus.ts';
import { CounterFamily, HistogramFamily, registerGauge } from './series.ts';

/** Seconds: from a cached answer to the longest a request may take. */
const DURATIONS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
/** Seconds: what the gateway itself should take, from 50 µs. */
const OWN_TIME = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/** Seconds: from a loop that is on time to one that lets everybody down. */
const LOOP_DELAYS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** What is read, not counted, when Prometheus asks. */
export interface Readings {
  inFlight(): number;
  breakers(): Iterable<{ upstream: string; state: 'closed' | 'half_open' | 'open' }>;
  stateStoreUp(): boolean;
  /** Requests that have come, but are not begun for want of time. */
  waiting(): number;
  /** To providers: connections in use, and requests that wait for one. A provider may have several lines. */
  connections(): Iterable<{ provider: string; inUse: number; waiting: number }>;
  /** Bytes of the bodies of requests under way. */
  bodyBytes(): number;
  /** Bytes of the answers that wait for their clients to take them. */
  answerBytes(): number;
}

/** Counted by the one process that would notice; registered in all, so that it is always there. */
export const WORKERS = {
  name: 'spillway_workers',
  help: 'Processes that serve requests.',
} as const;

export const WORKER_DEATHS = {
  name: 'spillway_worker_deaths_total',
  help: 'Workers that ended without having been told to.',
  labels: [],
} as const;

const BREAKER_VALUES = { closed: 0, half_open: 1, open: 2 } as const;

/** The metrics of the contract, with their labels. docs/metrics.md is made from what this registers. */
export class Metrics {
  readonly registry: Registry = newRegistry();
  readonly requests = new CounterFamily(this.registry, {
    name: 'spillway_requests_total',
    help: 'Requests that clients made, by the status they were answered with (499: the client left first).',
    labels: ['tenant', 'model', 'status'],
  });
  readonly attempts = new CounterFamily(this.registry, {
    name: 'spillway_attempts_total',
    help: 'Tries sent to upstreams, by how they ended.',
    labels: ['provider', 'model', 'outcome'],
  });
  readonly durations = new HistogramFamily(this.registry, {
    name: 'spillway_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its answer.',
    labels: ['model'],
    bounds: DURATIONS,
  });
  readonly firstTokens = new HistogramFamily(this.registry, {
    name: 'spillway_time_to_first_token_seconds',
    help: 'Time from sending a streamed try to its first content.',
    labels: ['provider', 'model'],
    bounds: DURATIONS,
  });
  readonly gatewayTime = new HistogramFamily(this.registry, {
    name: 'spillway_gateway_seconds',
    help: 'Time a request spent in the gateway itself: neither with an upstream nor waiting to try again.',
    labels: [],
    bounds: OWN_TIME,
  }).with({});
  readonly tokens = new CounterFamily(this.registry, {
    name: 'spillway_tokens_total',
    help: 'Tokens of answered requests, by kind: input, output, cached, cache_write, reasoning; counted where upstreams did not report them.',
    labels: ['tenant', 'model', 'kind'],
  });
  readonly cost = new CounterFamily(this.registry, {
    name: 'spillway_cost_usd_total',
    help: 'Cost of answered requests in US dollars, where the price is known.',
    labels: ['tenant', 'model'],
  });
  readonly cacheSaved = new CounterFamily(this.registry, {
    name: 'spillway_cache_saved_usd_total',
    help: "US dollars that reading from providers' caches saved against the full price, where the price is known.",
    labels: ['tenant', 'model'],
  });
  readonly cacheWriteExtra = new CounterFamily(this.registry, {
    name: 'spillway_cache_write_extra_usd_total',
    help: "US dollars that writing to providers' caches cost beyond the full price, where the price is known.",
    labels: ['tenant', 'model'],
  });
  readonly cacheRequests = new CounterFamily(this.registry, {
    name: 'spillway_cache_requests_total',
    help: 'Requests to models that keep answers: answered by one that was kept (hit), by one that another request was being given (shared), or not (miss).',
    labels: ['model', 'result'],
  });
  readonly breakerTransitions = new CounterFamily(this.registry, {
    name: 'spillway_breaker_transitions_total',
    help: 'Changes of state of circuit breakers, by the new state.',
    labels: ['upstream', 'to'],
  });
  readonly retriesDenied = new CounterFamily(this.registry, {
    name: 'spillway_retries_denied_total',
    help: 'Retries that the retry budget of an upstream did not allow.',
    labels: ['upstream'],
  });
  readonly upstreamLimited = new CounterFamily(this.registry, {
    name: 'spillway_upstream_limited_total',
    help: 'Tries that were not made because the provider was at one of its limits, the pace of the upstream did not allow them in time, or no connection to it was free in time.',
    labels: ['upstream'],
  });
  readonly replayed = new CounterFamily(this.registry, {
    name: 'spillway_replayed_total',
    help: 'Requests given the answer that an earlier one with their `Idempotency-Key` had.',
    labels: ['model'],
  });
  readonly resumedStreams = new CounterFamily(this.registry, {
    name: 'spillway_resumed_streams_total',
    help: 'Times that a client came back to a stream and found it.',
    labels: [],
  }).with({});
  readonly continuations = new CounterFamily(this.registry, {
    name: 'spillway_stream_continuations_total',
    help: 'Streams that broke and went on with this target: by a prefill, or by asking for the whole answer again.',
    labels: ['provider', 'model', 'how'],
  });
  readonly hedges = new CounterFamily(this.registry, {
    name: 'spillway_hedges_total',
    help: 'Second targets asked beside one that was silent: started, and of these won.',
    labels: ['model', 'result'],
  });
  readonly quotaRefusals = new CounterFamily(this.registry, {
    name: 'spillway_quota_refusals_total',
    help: 'Requests refused because a quota was used up.',
    labels: ['tenant', 'quota'],
  });
  readonly loopDelay = new HistogramFamily(this.registry, {
    name: 'spillway_event_loop_delay_seconds',
    help: 'How late the event loop was, measured a hundred times a second while it is on time.',
    labels: [],
    bounds: LOOP_DELAYS,
  }).with({});
  readonly overloadRefusals = new CounterFamily(this.registry, {
    name: 'spillway_overload_refusals_total',
    help: 'Requests refused because of the load: they would have had to wait too long, or places or memory were taken.',
    labels: ['tenant', 'reason'],
  });
  readonly answersCut = new CounterFamily(this.registry, {
    name: 'spillway_answers_cut_total',
    help: 'Whole answers that were cut off because their clients did not take them: too slowly, or others needed the memory.',
    labels: ['tenant', 'reason'],
  });
  readonly interruptions = new CounterFamily(this.registry, {
    name: 'spillway_stream_interruptions_total',
    help: 'Streams that broke after their first content had been sent on.',
    labels: ['provider', 'model'],
  });
  readonly droppedEvents = new CounterFamily(this.registry, {
    name: 'spillway_dropped_events_total',
    help: 'Events of streams that were left out because they were not valid.',
    labels: ['provider'],
  });

  constructor(readings: Readings) {
    const { registry } = this;
    registerGauge(
      registry,
      {
        name: 'spillway_breaker_state',
        help: 'State of the circuit breaker of each upstream: 0 closed, 1 half-open, 2 open.',
        aggregator: 'max',
      },
      () =>
        [...readings.breakers()].map(({ upstream, state }) => ({
          labels: { upstream },
          value: BREAKER_VALUES[state],
        })),
    );
    registerGauge(
      registry,
      {
        name: 'spillway_upstream_connections',
        help: 'Connections to providers that requests have in use, of the `connections` that each may have.',
      },
      () => byProvider(readings, 'inUse'),
    );
    registerGauge(
      registry,
      {
        name: 'spillway_upstream_waiting',
        help: 'Requests that wait because all connections to their provider are in use.',
      },
      () => byProvider(readings, 'waiting'),
    );
    registerGauge(registry, { name: 'spillway_in_flight', help: 'Requests of clients under way.' }, () => [
      { labels: {}, value: readings.inFlight() },
    ]);
    registerGauge(
      registry,
      {
        name: 'spillway_waiting',
        help: 'Requests that have come, and wait until there is time to begin them.',
      },
      () => [{ labels: {}, value: readings.waiting() }],
    );
    registerGauge(
      registry,
      { name: 'spillway_request_body_bytes', help: 'Bytes of the bodies of requests under way.' },
      () => [{ labels: {}, value: readings.bodyBytes() }],
    );
    registerGauge(
      registry,
      {
        name: 'spillway_untaken_answer_bytes',
        help: 'Bytes of whole answers that wait for their clients to take them.',
      },
      () => [{ labels: {}, value: readings.answerBytes() }],
    );
    registerGauge(
      registry,
      {
        name: 'spillway_state_store_up',
        help: 'Whether the store of shared state can be reached; the one inside the process always can.',
        aggregator: 'min',
      },
      () => [{ labels: {}, value: readings.stateStoreUp() ? 1 : 0 }],
    );
    registerGauge(registry, WORKERS, () => [{ labels: {}, value: 1 }]);
    new CounterFamily(registry, WORKER_DEATHS).with({});
  }
}

/** One value for each provider, however many origins and timeouts it has. */
function byProvider(readings: Readings, of: 'inUse' | 'waiting') {
  const sums = new Map<string, number>();
  for (const line of readings.connections())
    sums.set(line.provider, (sums.get(line.provider) ?? 0) + line[of]);
  return [...sums].map(([provider, value]) => ({ labels: { provider }, value }));
}
