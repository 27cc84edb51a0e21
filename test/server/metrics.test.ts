import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, it } from 'node:test';
import { type Exposition, readExposition } from '../support/exposition.ts';
import { RawClient } from '../support/raw-http.ts';
import {
  apiError,
  chatAnswer,
  chatEvents,
  chatStream,
  reset,
  silence,
  startUpstream,
  stream,
} from '../support/upstream.ts';
import { chatBody, chatHead, serve } from './helpers.ts';

/** Of the contract: name, type, labels. */
const METRICS: readonly [name: string, type: string, ...labels: string[]][] = [
  ['spillway_requests_total', 'counter', 'tenant', 'model', 'status'],
  ['spillway_attempts_total', 'counter', 'provider', 'model', 'outcome'],
  ['spillway_request_duration_seconds', 'histogram', 'model'],
  ['spillway_time_to_first_token_seconds', 'histogram', 'provider', 'model'],
  ['spillway_gateway_seconds', 'histogram'],
  ['spillway_tokens_total', 'counter', 'tenant', 'model', 'kind'],
  ['spillway_cost_usd_total', 'counter', 'tenant', 'model'],
  ['spillway_cache_saved_usd_total', 'counter', 'tenant', 'model'],
  ['spillway_cache_write_extra_usd_total', 'counter', 'tenant', 'model'],
  ['spillway_cache_requests_total', 'counter', 'model', 'result'],
  ['spillway_breaker_state', 'gauge', 'upstream'],
  ['spillway_breaker_transitions_total', 'counter', 'upstream', 'to'],
  ['spillway_retries_denied_total', 'counter', 'upstream'],
  ['spillway_upstream_limited_total', 'counter', 'upstream'],
  ['spillway_upstream_connections', 'gauge', 'provider'],
  ['spillway_upstream_waiting', 'gauge', 'provider'],
  ['spillway_replayed_total', 'counter', 'model'],
  ['spillway_resumed_streams_total', 'counter'],
  ['spillway_stream_continuations_total', 'counter', 'provider', 'model', 'how'],
  ['spillway_hedges_total', 'counter', 'model', 'result'],
  ['spillway_quota_refusals_total', 'counter', 'tenant', 'quota'],
  ['spillway_in_flight', 'gauge'],
  ['spillway_waiting', 'gauge'],
  ['spillway_request_body_bytes', 'gauge'],
  ['spillway_untaken_answer_bytes', 'gauge'],
  ['spillway_event_loop_delay_seconds', 'histogram'],
  ['spillway_overload_refusals_total', 'counter', 'tenant', 'reason'],
  ['spillway_answers_cut_total', 'counter', 'tenant', 'reason'],
  ['spillway_stream_interruptions_total', 'counter', 'provider', 'model'],
  ['spillway_dropped_events_total', 'counter', 'provider'],
  ['spillway_state_store_up', 'gauge'],
  ['spillway_workers', 'gauge'],
  ['spillway_worker_deaths_total', 'counter'],
];

/** Two models, keys with ids, direct models: all that could become a label. */
const upstream = await startUpstream();
after(() => upstream.close());
const { gateway } = await serve(
  { after },
  {
    auth: 'keys',
    direct_models: true,
    providers: {
      a: { adapter: 'vllm', base_url: upstream.url },
      b: { adapter: 'vllm', base_url: upstream.url },
      c: { adapter: 'vllm', base_url: upstream.url, limits: { requests: '1/day' } },
    },
    defaults: {
      retry: { attempts: 1, backoff: { base: 0, max: 0 }, budget: { ratio: 0, min_per_second: 0 } },
    },
    tenants: [
      { id: 'acme', keys: [{ id: 'ci', key: 'sw-acme' }] },
      { id: 'beta', models: ['m'], keys: [{ id: 'ci', key: 'sw-beta' }] },
      {
        id: 'held',
        keys: [{ id: 'ci', key: 'sw-held', quotas: [{ limit: 0, of: 'concurrent' }] }],
        quotas: [{ limit: 0, of: 'tokens', per: 'day', models: ['retried', 'cheap'] }],
      },
    ],
    models: {
      m: { provider: 'a', model: 'up', retry: { attempts: 0 } },
      retried: { provider: 'a', model: 'again' },
      narrow: { provider: 'c', model: 'narrow' },
      kept: { provider: 'a', model: 'kept', cache: { mode: 'exact' } },
      lasting: {
        mid_stream: 'continue',
        strategy: { mode: 'fallback', hedge: { after: '1ms', max_extra: 1 } },
        targets: [
          { provider: 'a', model: 'begins' },
          { provider: 'a', model: 'goes-on' },
        ],
      },
      fragile: {
        provider: 'a',
        model: 'frail',
        retry: { attempts: 0 },
        breaker: { consecutive_failures: 1 },
      },
    },
    aliases: { cheap: 'm' },
  },
  { bodyBytes: 100_000 },
);
/** More than the kernel keeps for a client that does not read. */
const LONG = 'x'.repeat(16_000_000);

const acme = { authorization: 'Bearer sw-acme' };

async function exposition(): Promise<Exposition> {
  return readExposition(await gateway.metrics());
}

/** Every kind of end that a request can have. */
async function doEverything(): Promise<void> {
  const text = async (response: Promise<Response>) => (await response).text();
  await text(gateway.chat({}, acme));
  await text(gateway.chat({ model: 'cheap' }, acme));
  await text(gateway.chat({ stream: true }, acme));
  upstream.enqueue(chatStream({ content: ['a', reset()] }));
  await text(gateway.chat({ stream: true }, acme));
  upstream.enqueue(stream(['data: {"cut', ...chatEvents()]));
  await text(gateway.chat({ stream: true }, acme));
  // Each on its own upstream, for some of them cool it down; 401 cools down the key of a whole provider.
  for (const model of ['a/400', 'b/401', 'a/404', 'a/429', 'a/500', 'a/503']) {
    upstream.enqueue(apiError(Number(model.slice(2))));
    await text(gateway.chat({ model }, acme));
  }
  upstream.enqueue(apiError(503));
  await text(gateway.chat({ model: 'retried' }, acme));
  upstream.enqueue(apiError(500));
  await text(gateway.chat({ model: 'fragile' }, acme));
  upstream.enqueue([chatStream({ content: ['a'], finish: null, done: false })]);
  await text(gateway.chat({ stream: true }, acme));
  await text(gateway.chat({ model: 'kept' }, acme));
  await text(gateway.chat({ model: 'kept' }, acme));
  const key = { ...acme, 'idempotency-key': 'order-4711' };
  await text(gateway.chat({ model: 'cheap' }, key));
  await text(gateway.chat({ model: 'cheap' }, key));
  const resumable = { ...acme, 'x-spillway-resume': 'true', 'x-request-id': 'mine' };
  await text(gateway.chat({ stream: true }, resumable));
  for (const id of ['mine', 'mine', 'nobodys'])
    await text(fetch(`${gateway.url}/streams/${id}`, { headers: acme }));
  await text(gateway.chat({ model: 'narrow' }, acme));
  await text(gateway.chat({ model: 'narrow' }, acme));
  upstream.enqueue(chatStream({ content: ['Hello', reset()] }));
  await text(gateway.chat({ model: 'lasting', stream: true }, acme));
  upstream.enqueue(silence());
  await text(gateway.chat({ model: 'lasting' }, acme));
  await text(gateway.chat({}, { authorization: 'Bearer wrong' }));
  await text(gateway.chat({ model: 'retried' }, { authorization: 'Bearer sw-beta' }));
  for (const model of ['m', 'retried', 'cheap']) {
    await text(gateway.chat({ model }, { authorization: 'Bearer sw-held' }));
  }
  await text(fetch(`${gateway.origin}/nothing`));
  const before = upstream.requests.length;
  upstream.enqueue(silence());
  const left = new AbortController();
  const hanging = gateway.chat({}, acme, left.signal).catch(() => null);
  await upstream.waitFor(before + 1);
  // There is room for this one beside no other.
  await text(gateway.chat({ messages: [{ role: 'user', content: 'x'.repeat(100_000) }] }, acme));
  left.abort();
  await hanging;
  await leaveTwoAnswersUnread();
}

/** The second one takes the memory of the first. */
async function leaveTwoAnswersUnread(): Promise<void> {
  upstream.enqueue(chatAnswer({ content: LONG }), chatAnswer({ content: LONG }));
  const body = chatBody();
  const clients = [await RawClient.connect(gateway.origin), await RawClient.connect(gateway.origin)];
  for (const client of clients) {
    client.pause();
    await client.send(chatHead({ ...acme, 'content-length': body.length }) + body);
  }
  while ((await gateway.metric('spillway_answers_cut_total{tenant="acme",reason="memory"}')) !== 1);
  for (const client of clients) client.destroy();
}

it('there is every metric of the contract before the first request, and none of ours besides', async () => {
  const { metrics } = await exposition();
  const ours = [...metrics].filter(([name]) => name.startsWith('spillway_'));
  // In whatever order.
  assert.deepEqual(
    ours.map(([name, { type }]) => `${name} ${type}`).sort(),
    METRICS.map(([name, type]) => `${name} ${type}`).sort(),
  );
  for (const node of ['process_cpu_seconds_total', 'nodejs_eventloop_lag_seconds', 'nodejs_version_info']) {
    assert.ok(metrics.has(node), node);
  }
});

it('each has exactly its labels', async () => {
  await doEverything();
  const { metrics } = await exposition();
  for (const [name, , ...labels] of METRICS) {
    for (const series of metrics.get(name)?.series ?? []) {
      const found = Object.keys(series.labels).filter((label) => label !== 'le');
      assert.deepEqual(found.sort(), [...labels].sort(), name);
    }
  }
  const empty = METRICS.map(([name]) => name).filter((name) => metrics.get(name)?.series.length === 0);
  assert.deepEqual(empty, []);
});

it('answers that were given again, and streams that were come back to, are counted once each', async () => {
  assert.equal(await gateway.metric('spillway_replayed_total{model="cheap"}'), 1);
  assert.equal(await gateway.metric('spillway_resumed_streams_total'), 2);
});

it("our own lint finds nothing to say, of Node's metrics neither", async () => {
  assert.deepEqual((await exposition()).problems, []);
});

it("Prometheus' own linter finds nothing to say", async (t) => {
  const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await gateway.metrics(),
    encoding: 'utf8',
  });
  if (error !== undefined) {
    t.skip('promtool is not installed (Debian: apt-get install prometheus); only our own lint was done');
    return;
  }
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});

it('the content type is that of the text format', async () => {
  const response = await fetch(`${gateway.admin}/metrics`);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
});

it('the values of every label are of a closed set, whatever clients make up', async () => {
  for (let i = 0; i < 5; i++) {
    await gateway.chat({ model: `made-up-${i}` }, acme);
    await gateway.chat({ model: `a/made-up-${i}` }, acme);
    await gateway.chat({ model: `nobody/made-up-${i}` }, acme);
    await gateway.chat({}, { authorization: `Bearer made-up-${i}` });
    await fetch(`${gateway.origin}/made-up-${i}`);
    await fetch(`${gateway.url}/models/made-up-${i}`, { headers: acme });
  }
  const text = await gateway.metrics();
  assert.doesNotMatch(text, /made-up/);
  const values = new Map<string, Set<string>>();
  const { metrics } = readExposition(text);
  for (const [name, { series }] of metrics) {
    if (!name.startsWith('spillway_')) continue;
    for (const { labels } of series) {
      for (const [label, value] of Object.entries(labels)) {
        if (label === 'le' || label === 'status' || label === 'outcome') continue;
        const key =
          name === 'spillway_requests_total' || !['model'].includes(label) ? label : `${name} ${label}`;
        values.set(key, (values.get(key) ?? new Set()).add(value));
      }
    }
  }
  const found = Object.fromEntries([...values].map(([label, set]) => [label, [...set].sort()]));
  const names = ['a/*', 'b/*', 'cheap', 'fragile', 'kept', 'lasting', 'm', 'narrow', 'retried', 'unknown'];
  const models = ['*', 'again', 'begins', 'frail', 'goes-on', 'kept', 'narrow', 'up'];
  assert.deepEqual(found, {
    tenant: ['acme', 'beta', 'held', 'unknown'],
    model: names,
    provider: ['a', 'b', 'c'],
    'spillway_attempts_total model': models,
    'spillway_request_duration_seconds model': names,
    'spillway_time_to_first_token_seconds model': models,
    'spillway_tokens_total model': names,
    'spillway_cost_usd_total model': names,
    'spillway_cache_saved_usd_total model': names,
    'spillway_cache_write_extra_usd_total model': names,
    'spillway_cache_requests_total model': ['kept'],
    'spillway_replayed_total model': ['cheap'],
    'spillway_stream_interruptions_total model': ['begins', 'up'],
    'spillway_stream_continuations_total model': ['goes-on'],
    how: ['again'],
    'spillway_hedges_total model': ['lasting'],
    result: ['hit', 'miss', 'started', 'won'],
    reason: ['bodies', 'memory'],
    quota: ['key/concurrent', 'tenant/tokens/day'],
    kind: ['cache_write', 'cached', 'input', 'output', 'reasoning'],
    upstream: [
      'a/*#1',
      'a/again#1',
      'a/begins#1',
      'a/frail#1',
      'a/goes-on#1',
      'a/kept#1',
      'a/up#1',
      'c/narrow#1',
    ],
    to: ['open'],
  });
});

it('counts and tokens are those of the requests', async (t) => {
  const { gateway, upstream } = await serve(t);
  const usage = {
    prompt_tokens: 100,
    completion_tokens: 20,
    prompt_tokens_details: { cached_tokens: 64, cache_write_tokens: 11 },
    completion_tokens_details: { reasoning_tokens: 7 },
  };
  upstream.enqueue(chatAnswer({ usage }), chatStream({ usage }), apiError(500));
  await (await gateway.chat()).text();
  await (await gateway.chat({ stream: true })).text();
  await (await gateway.chat()).text();
  await gateway.ended(3);
  const expected: Record<string, number> = {
    'spillway_requests_total{tenant="anonymous",model="m",status="200"}': 2,
    'spillway_requests_total{tenant="anonymous",model="m",status="502"}': 1,
    'spillway_attempts_total{provider="a",model="up",outcome="ok"}': 2,
    'spillway_attempts_total{provider="a",model="up",outcome="server_error"}': 1,
    'spillway_tokens_total{tenant="anonymous",model="m",kind="input"}': 200,
    'spillway_tokens_total{tenant="anonymous",model="m",kind="output"}': 40,
    'spillway_tokens_total{tenant="anonymous",model="m",kind="cached"}': 128,
    'spillway_tokens_total{tenant="anonymous",model="m",kind="reasoning"}': 14,
    'spillway_tokens_total{tenant="anonymous",model="m",kind="cache_write"}': 22,
    'spillway_cache_saved_usd_total{tenant="anonymous",model="m"}': 0,
    'spillway_request_duration_seconds_count{model="m"}': 3,
    'spillway_time_to_first_token_seconds_count{provider="a",model="up"}': 1,
    spillway_gateway_seconds_count: 3,
    'spillway_breaker_state{upstream="a/up#1"}': 0,
    spillway_in_flight: 0,
    spillway_state_store_up: 1,
  };
  for (const [series, value] of Object.entries(expected)) {
    assert.equal(await gateway.metric(series), value, series);
  }
});
