import { Metrics } from '../../src/accounting/metrics.ts';
import type { MetricObject, Registry } from '../../src/accounting/prometheus.ts';
import { CounterFamily, HistogramFamily } from '../../src/accounting/series.ts';
import { OUTCOME_RULES } from '../../src/core/outcome.ts';
import { code, type Page, table } from './page.ts';

/** What each label may say: closed sets, all of them. */
const LABELS: Readonly<Record<string, string>> = {
  tenant:
    'a tenant of the configuration or of the admin API, `anonymous` with `auth: none`, `unknown` for requests whose key is not known',
  model:
    'of requests: a name under `models` (aliases by their own name), `PROVIDER/*` for direct models, `unknown` for any other; of upstreams: the model of the target, `*` for direct models',
  status: 'the HTTP status that the client was answered with; 499 if it had left before',
  provider: 'a provider of the configuration',
  outcome: `how the try ended: ${['ok', ...Object.keys(OUTCOME_RULES)].map(code).join(', ')}`,
  kind: "`input`, `output`, `cached` and `cache_write` (parts of input: read from, and written to, the provider's cache), `reasoning` (part of output)",
  upstream: '`PROVIDER/MODEL#KEY`, the key by its place in the pool, from 1',
  to: '`open`, `half_open`, `closed`',
  quota:
    'whose quota it is, what it counts, and per what: `tenant/tokens/minute`, `key/usd/day`, `tenant/concurrent`',
  result:
    'of hedges: `started`, and of these `won`; of requests to models that keep answers: `hit`, `shared`, `miss`',
  reason:
    '`delay`: it would have had to wait too long to be begun; `in_flight`: `server.max_in_flight`, or what is left of it for this tenant; `bodies`: the memory for bodies; of answers that were cut off: `memory`, others needed it; `slow`, it was taken too slowly or not at all',
  how: '`prefill`: the model was given what the client had as the beginning of its answer; `again`: it was asked for all of it',
  le: 'upper bound of the bucket',
};

/** Beside the metric's own help: what else one should know. */
const NOTES: Readonly<Record<string, string>> = {
  spillway_cost_usd_total:
    'What has no price is not in it; `GET /admin/usage` says how many requests those were.',
  spillway_cache_saved_usd_total:
    'What writing cost more is not taken off: see the next one. The log line has the difference, as `cache_saved_usd`.',
  spillway_upstream_limited_total:
    'One request may count more than once: it may wait, and find the provider full again. What waited its turn and was sent does not count.',
  spillway_upstream_connections:
    'Providers that share connections, because they are reached in the same way, are told of as the first of them.',
  spillway_upstream_waiting: 'See [upstream-limits.md](upstream-limits.md#connections).',
  spillway_event_loop_delay_seconds:
    'Beyond the two milliseconds that a timer of Node takes by itself. What `nodejs_eventloop_lag_*` say is 10 ms more, and of the time since the last scrape by whomever. See [overload.md](overload.md).',
  spillway_overload_refusals_total: 'See [overload.md](overload.md).',
  spillway_answers_cut_total: 'See [overload.md](overload.md#answers-that-are-not-taken).',
  spillway_untaken_answer_bytes:
    'Only of those of more than 64 KiB. They share their memory with the bodies of requests. See [overload.md](overload.md#answers-that-are-not-taken).',
  spillway_quota_refusals_total: 'The line of the request in the log names the key as well.',
  spillway_state_store_up:
    'Without `state.redis` it is always 1; in a cluster it is 0 while any node is away.',
  spillway_workers: '1 without `server.workers`. See [workers.md](workers.md).',
  spillway_breaker_state: 'The worst state of the upstream under any settings; direct models are left out.',
};

interface Documented {
  name: string;
  help: string;
  type: string;
  labels: string[];
}

/** Of what Node itself reports, what one looks at first. */
const OF_NODE = [
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
  'nodejs_heap_size_used_bytes',
  'nodejs_gc_duration_seconds',
];

type PrintingRegistry = Registry & { getMetricsAsJSON(): Promise<MetricObject[]> };

/** Everything of ours that the gateway registers, in its order, with the labels that each series will have. */
export async function registeredMetrics(): Promise<Documented[]> {
  const metrics = new Metrics({
    inFlight: () => 0,
    breakers: () => [{ upstream: 'some/model#1', state: 'closed' }],
    stateStoreUp: () => true,
    waiting: () => 0,
    connections: () => [{ provider: 'some', inUse: 0, waiting: 0 }],
    bodyBytes: () => 0,
    answerBytes: () => 0,
  });
  const registry = metrics.registry as PrintingRegistry;
  const empty = async () =>
    (await registry.getMetricsAsJSON())
      .filter(({ values }) => [...values].length === 0)
      .map(({ name }) => name);

  // A family tells its labels by what it reads of those that it is given, and its name by the series that is then there.
  const labels = new Map<string, string[]>();
  for (const family of Object.values(metrics) as unknown[]) {
    if (!(family instanceof CounterFamily || family instanceof HistogramFamily)) continue;
    const before = await empty();
    const read: string[] = [];
    const get = (_: object, label: string | symbol) => {
      read.push(String(label));
      return '';
    };
    family.with(new Proxy<Record<string, string>>({}, { get }));
    const after = new Set(await empty());
    for (const name of before) if (!after.has(name)) labels.set(name, read);
  }

  const all = await registry.getMetricsAsJSON();
  const missing = OF_NODE.filter((name) => all.every((metric) => metric.name !== name));
  if (missing.length > 0) throw new Error(`Node no longer reports ${missing.join(', ')}`);
  return all
    .filter(({ name }) => name.startsWith('spillway_'))
    .map(({ name, help, type, values }) => ({
      name,
      help,
      type,
      labels: labels.get(name) ?? Object.keys([...values][0]?.labels ?? {}).filter((label) => label !== 'le'),
    }));
}

async function text(): Promise<string> {
  const metrics = await registeredMetrics();
  const used = [...new Set(metrics.flatMap(({ labels }) => labels))];
  const unknown = used.filter((label) => LABELS[label] === undefined);
  if (unknown.length > 0)
    throw new Error(`say in tools/docs/metrics.ts what these labels mean: ${unknown.join(', ')}`);
  const stale = Object.keys(NOTES).filter((name) => metrics.every((metric) => metric.name !== name));
  if (stale.length > 0)
    throw new Error(`tools/docs/metrics.ts has notes on what is not there: ${stale.join(', ')}`);
  return `# Metrics

<!-- Made from src/accounting/metrics.ts by \`npm run docs\`. Change it there, or in tools/docs/metrics.ts. -->

\`GET /metrics\` on the admin listener, in Prometheus' text format, without a token. \`config/prometheus.yml\` scrapes it,
\`config/alerts.yml\` has alerts to begin with.

${table(
  ['Metric', 'Type', 'Labels', 'Meaning'],
  metrics.map(({ name, type, labels, help }) => [
    code(name),
    type,
    labels.map(code).join(' '),
    [help, NOTES[name]].filter(Boolean).join(' '),
  ]),
)}

Beside them stand Node's own, among them ${OF_NODE.map(code).join(', ')}.

## Labels

Every label has a closed set of values: no client can make up a new one, so the number of series is bounded by the configuration and the tenants there are; those of a tenant that is gone are dropped at the second scrape after.

${table(
  ['Label', 'Values'],
  used.map((label) => [code(label), LABELS[label] ?? '']),
)}

## Questions, and how to ask them

${QUESTIONS.map(({ question, query }) => `${question}\n\n\`\`\`promql\n${query}\n\`\`\``).join('\n\n')}
`;
}

/** Checked with promtool where there is one. */
export const QUESTIONS = [
  {
    question: "How many requests fail, for reasons that are not the client's?",
    query: 'sum(rate(spillway_requests_total{status=~"5.."}[5m])) / sum(rate(spillway_requests_total[5m]))',
  },
  {
    question: 'Which upstream fails, and how?',
    query: 'sum by (provider, model, outcome) (rate(spillway_attempts_total{outcome!="ok"}[5m]))',
  },
  {
    question: 'How many tries does an answered request cost? (1 is best.)',
    query: 'sum(rate(spillway_attempts_total[5m])) / sum(rate(spillway_requests_total{status="200"}[5m]))',
  },
  {
    question: 'How long do people wait for the first token, 95 of 100?',
    query:
      'histogram_quantile(0.95, sum by (le, provider, model) (rate(spillway_time_to_first_token_seconds_bucket[5m])))',
  },
  {
    question: 'What does the gateway itself take, 99 of 100?',
    query: 'histogram_quantile(0.99, sum by (le) (rate(spillway_gateway_seconds_bucket[5m])))',
  },
  {
    question: 'Whose tokens are they?',
    query: 'sum by (tenant, kind) (increase(spillway_tokens_total[1d]))',
  },
] as const;

export const metricsPage: Page = { file: 'docs/metrics.md', text };
