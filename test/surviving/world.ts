/** Two gateways on one Redis, with all that makes answers survive, in front of upstreams that do as they like. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN_TOKEN, tenant } from '../gateways/kit.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryDirectory } from '../support/process.ts';
import { type CleansUp, type RedisServer, startRedis } from '../support/redis.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { Speaker } from './speaker.ts';

export interface World {
  gateways: readonly [TestGateway, TestGateway];
  redis: RedisServer;
  upstreams: readonly Upstream[];
  speaker: Speaker;
}

/** `slow` has limits, `paced` finds its own; the others have none. */
export const PROVIDERS = ['a', 'b', 'c', 'slow', 'paced'] as const;
export const TENANTS = ['acme', 'globex', 'initech'] as const;

const [A, B, C, SLOW, PACED] = PROVIDERS.map((provider) => ({ provider, model: 'up' }));
const ALL = [A, { ...B, prefill: true }, C];
const fallback = (more: object = {}) => ({ strategy: { mode: 'fallback', ...more } });
const balance = (by: string, more: object = {}) => ({ strategy: { mode: 'loadbalance', by, ...more } });
const kept = (more: object = {}) => ({ cache: { mode: 'exact', ttl: '1h', ...more } });

const HEDGED: Readonly<Record<string, object>> = {
  hedged: { ...fallback({ hedge: { after: '30ms', max_extra: 1 } }), mid_stream: 'continue', targets: ALL },
  'hedged-and-kept': { ...fallback({ hedge: { after: 'p50', max_extra: 1 } }), ...kept(), targets: ALL },
  'hedged-pairs': {
    ...fallback({ hedge: { after: '20ms', max_extra: 1 } }),
    ...kept(),
    mid_stream: 'continue',
    targets: [
      { ...balance('latency'), targets: [A, PACED] },
      { ...fallback(), targets: [SLOW, { ...C, prefill: true }] },
    ],
  },
};

/** Each by its name. */
const TREES: Readonly<Record<string, object>> = {
  ...HEDGED,
  alone: A as object,
  again: { ...fallback(), mid_stream: 'continue', targets: [A, B, C] },
  prefilled: { ...fallback(), mid_stream: 'continue', targets: ALL, ...kept() },
  weight: { ...balance('weight'), targets: ALL, ...kept({ shared: true }) },
  latency: { ...balance('latency', { sticky: 'x-conversation-id' }), targets: ALL, mid_stream: 'continue' },
  least: { ...balance('least_busy'), targets: [A, SLOW, PACED] },
  cost: { ...balance('cost'), targets: ALL, mid_stream: 'continue', ...kept({ shared: true }) },
  headroom: { ...balance('headroom', { sticky: 'user' }), targets: [PACED, B] },
  limited: { ...fallback(), targets: [SLOW, PACED, C], mid_stream: 'continue' },
  chosen: {
    strategy: {
      mode: 'conditional',
      // biome-ignore lint/suspicious/noThenProperty: the file's word; a schema is never awaited
      conditions: [{ query: { 'tenant.id': { $eq: 'acme' } }, then: 'one' }],
      default: 'two',
    },
    ...kept(),
    targets: [
      { name: 'one', ...fallback(), targets: [A, B] },
      { name: 'two', ...balance('weight'), targets: [B, C] },
    ],
  },
};

export const MODELS = Object.keys(TREES);
/** Where a second target may be asked, for nothing. */
export const isHedged = (model: string) => Object.hasOwn(HEDGED, model);
/** Where what one tenant was answered may answer another. */
export const isShared = (model: string) => ['weight', 'cost'].includes(model);

/** Whatever happens, all counts of a month are there to be compared. */
const COUNTED = [
  { limit: 1_000_000, of: 'requests', per: 'month' },
  { limit: 1_000_000_000, of: 'tokens', per: 'month' },
  { limit: 100_000, of: 'usd', per: 'month' },
];
const AT_ONCE = { limit: 1000, of: 'concurrent' };

export async function startWorld(t: CleansUp): Promise<World> {
  const redis = await startRedis(t);
  const speaker = new Speaker();
  const upstreams: Upstream[] = [];
  for (const _ of PROVIDERS) {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    upstream.reply((request) => speaker.answer(request));
    upstreams.push(upstream);
  }
  const prices = join(temporaryDirectory(t), 'prices.yaml');
  const rows = PROVIDERS.map((name, at) => ({
    models: ['up'],
    providers: [name],
    in: 1 + at,
    out: 7 + 2 * at,
  }));
  writeFileSync(prices, JSON.stringify({ prices: rows }));
  const provider = (at: number, more: object = {}) => ({
    adapter: 'vllm',
    base_url: upstreams[at]?.url,
    api_key: `sk-of-${PROVIDERS[at]}`,
    ...more,
  });
  const limits = { requests: '60/second', tokens: '50000/second', concurrent: 3 };
  const config = {
    admin: { listen: '127.0.0.1:0', token: ADMIN_TOKEN },
    auth: 'keys',
    // The gateways, the upstreams and the clients are one process, which is busy at times.
    state: { redis: redis.url, command_timeout: '5s' },
    server: { heartbeat: '30ms' },
    prices,
    quota_defaults: { output_tokens: 300 },
    defaults: {
      retry: {
        attempts: 1,
        backoff: { kind: 'exponential', base: '5ms', factor: 2, max: '20ms', jitter: 'full' },
        max_retry_after: '100ms',
      },
      timeouts: { connect: '1s', first_token: '200ms', idle: '150ms', attempt: '500ms', total: '1500ms' },
      breaker: {
        consecutive_failures: 6,
        min_requests: 30,
        open_for: '60ms',
        max_open_for: '120ms',
        share: true,
      },
    },
    providers: {
      a: provider(0),
      b: provider(1),
      c: provider(2),
      slow: provider(3, { limits }),
      paced: provider(4, { adaptive: true }),
    },
    models: TREES,
    tenants: [
      tenant('acme', [...COUNTED, AT_ONCE]),
      tenant('globex', [...COUNTED, { limit: 3, of: 'concurrent' }]),
      tenant('initech', [...COUNTED, AT_ONCE, { limit: 1500, of: 'tokens', per: 'second' }]),
    ],
    idempotency: { encryption_key: 'a secret of both gateways' },
  };
  const gateways = [await startGateway(config), await startGateway(config)] as const;
  for (const gateway of gateways) t.after(() => gateway.close());
  return { gateways, redis, upstreams, speaker };
}
