import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { read, type Seen } from '../outcomes/helpers.ts';
import { errorIn } from '../server/helpers.ts';
import { type RequestLine, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { StreamReader } from '../support/rig.ts';
import { chatAnswer, startUpstream, type Upstream } from '../support/upstream.ts';

/** When a scene begins: in the middle of an hour and a day, at the beginning of a part of each period that slides. */
export const START = Date.UTC(2026, 10, 22, 9, 30);

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Tokens that the prompt of a request is estimated at which says nothing else, and that the stand-in reports of it. */
export const PROMPT = 9;
/** Tokens of the answer that the stand-in reports where nothing else is said. */
export const ANSWER = 12;
/** Tokens reserved for an answer where a request names no maximum. */
export const DEFAULT_OUTPUT = 4096;

/** Dollars for a million tokens: what a request costs is a whole number of nanodollars, and none of these is another's multiple. */
export const PRICES = {
  up: { in: 3, cache_read: 0.7, cache_write: 4, out: 11 },
  'up-dear': { in: 30, out: 110 },
};

export interface SceneOptions {
  /** Of the tenant `acme`. */
  quotas?: object[];
  /** Of its keys; `ci` alone, unless said. */
  keys?: Record<string, object[]>;
  /** Further tenants, each with the key `only`: its id is the tenant's. */
  others?: Record<string, object[]>;
  models?: Record<string, object>;
  /** Sections of the configuration over the usual ones. */
  config?: object;
  /** Of models, for a million tokens; what `PRICES` says, unless said. */
  prices?: Record<string, object>;
  clock?: ManualClock;
}

/** One quota as clients see it. */
export interface Quota {
  of: string;
  per: string | null;
  limit: number;
  scope: string;
  models: string[] | null;
  used: number;
  reserved: number;
  remaining: number;
  resets_at: string | null;
}

/** What a quota counts, and where it stands. */
export type Figures = Pick<Quota, 'used' | 'reserved' | 'remaining'>;

export interface LedgerLine {
  tenant: string;
  key: string;
  model: string;
  target: string;
  requests: number;
  tries: number;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  cost_usd: number;
  unpriced_requests: number;
}

/** A gateway with keys and quotas whose model `m` is the target `a/up`, without retries; beside it, `second` answers for `b`. */
export interface Scene {
  upstream: Upstream;
  second: Upstream;
  gateway: TestGateway;
  clock: ManualClock;
  /** Asks for a plain answer; `key` is `ci` unless said. */
  ask(body?: Record<string, unknown>, key?: string): Promise<Seen>;
  /** Asks for a stream, which must have begun with status 200. */
  stream(body?: Record<string, unknown>, key?: string): Promise<StreamReader>;
  /** Asks for a stream and reads it to its end. */
  streamed(body?: Record<string, unknown>, key?: string): Promise<string>;
  /** A request that its client gives up when `leave` is called. */
  leaving(body?: Record<string, unknown>): { leave(): Promise<void> };
  /** What `/v1/usage` tells that key. */
  usage(key?: string): Promise<{ tenant: string; key: string | null; quotas: Quota[] }>;
  /** Of the only quota that the key is held to, or of the one there. */
  quota(at?: number, key?: string): Promise<Quota>;
  /** Fails unless nothing is reserved for anyone any more. */
  nothingReserved(): Promise<void>;
  /** What the operator's ledger says of today, by key, model and target. */
  ledger(): Promise<LedgerLine[]>;
  /** Every line of the log, when so many requests have ended. */
  lines(count: number): Promise<RequestLine[]>;
  /** The line of the request that ended last, when so many have. */
  line(count: number): Promise<RequestLine>;
  /** Takes over these sections of the configuration, and prices. */
  reload(changes: SceneOptions): Promise<void>;
}

export async function openScene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const clock = options.clock ?? new ManualClock(0, START);
  const upstream = await startUpstream();
  const second = await startUpstream();
  const folder = mkdtempSync(join(tmpdir(), 'spillway-quotas-'));
  const pricesFile = join(folder, 'prices.yaml');
  const writePrices = (prices: Record<string, object>) => {
    const entries = Object.entries(prices).map(([model, rates]) => ({ models: [model], ...rates }));
    writeFileSync(pricesFile, JSON.stringify({ prices: entries }));
  };
  writePrices(options.prices ?? PRICES);
  let running: TestGateway | null = null;
  t.after(async () => {
    await running?.close();
    await upstream.close();
    await second.close();
    rmSync(folder, { recursive: true });
  });
  const gateway = await startGateway(configOf(options, upstream, second, pricesFile), {
    clock,
    chance: () => 0.5,
  });
  running = gateway;
  const authorization = (key: string) => ({ authorization: `Bearer ${keyOf(key)}` });
  const scene: Scene = {
    upstream,
    second,
    gateway,
    clock,
    ask: (body = {}, key = 'ci') => read(gateway.chat(body, authorization(key))),
    async stream(body = {}, key = 'ci') {
      const response = await gateway.chat({ stream: true, ...body }, authorization(key));
      assert.equal(response.status, 200, response.status === 200 ? '' : await response.text());
      return new StreamReader(response);
    },
    streamed: async (body, key) => (await scene.stream(body, key)).rest(),
    leaving(body = {}) {
      const controller = new AbortController();
      const gone = gateway.chat(body, authorization('ci'), controller.signal).then(
        () => assert.fail('it was answered before its client left'),
        () => {},
      );
      return {
        leave: () => {
          controller.abort();
          return gone;
        },
      };
    },
    async usage(key = 'ci') {
      const seen = await read(fetch(`${gateway.url}/usage`, { headers: authorization(key) }));
      assert.equal(seen.status, 200, seen.text);
      return JSON.parse(seen.text);
    },
    async quota(at, key) {
      const { quotas } = await scene.usage(key);
      if (at === undefined) assert.equal(quotas.length, 1);
      const quota = quotas[at ?? 0];
      assert.ok(quota);
      return quota;
    },
    async nothingReserved() {
      const keys = [...Object.keys(options.keys ?? { ci: [] }), ...Object.keys(options.others ?? {})];
      for (const key of keys) {
        const { quotas } = await scene.usage(key);
        assert.deepEqual(
          quotas.filter(({ reserved }) => reserved !== 0),
          [],
        );
      }
    },
    async ledger() {
      const response = await fetch(`${gateway.admin}/admin/usage?by=tenant,key,model,target`);
      assert.equal(response.status, 200);
      return ((await response.json()) as { rows: LedgerLine[] }).rows;
    },
    lines: (count) => gateway.ended(count) as Promise<RequestLine[]>,
    line: async (count) => (await scene.lines(count))[count - 1] as RequestLine,
    async reload(changes) {
      if (changes.prices !== undefined) writePrices(changes.prices);
      gateway.changeConfig(configOf({ ...options, ...changes }, upstream, second, pricesFile));
      const response = await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
      assert.equal(response.status, 200, await response.text());
    },
  };
  return scene;
}

/** The key of a client, by its id. */
export function keyOf(id: string): string {
  return `sw-the-key-of-${id}`;
}

function configOf(options: SceneOptions, upstream: Upstream, second: Upstream, prices: string): object {
  const { quotas = [], keys = { ci: [] }, others = {}, models = {}, config = {} } = options;
  return {
    auth: 'keys',
    prices,
    server: { heartbeat: '0' },
    defaults: { retry: { attempts: 0 }, breaker: { consecutive_failures: 1000, min_requests: 1000 } },
    providers: {
      a: { adapter: 'vllm', base_url: upstream.url },
      b: { adapter: 'vllm', base_url: second.url },
    },
    models: { m: { provider: 'a', model: 'up' }, ...models },
    tenants: [
      {
        id: 'acme',
        quotas,
        keys: Object.entries(keys).map(([id, own]) => ({ id, key: keyOf(id), quotas: own })),
      },
      ...Object.entries(others).map(([id, own]) => ({
        id,
        quotas: own,
        keys: [{ id: 'only', key: keyOf(id) }],
      })),
    ],
    ...config,
  };
}

/** Figures of a quota, for comparing. */
export function figures({ used, reserved, remaining }: Quota): Figures {
  return { used, reserved, remaining };
}

/** Fails unless this is a refusal by a quota: checks what all of them have, and returns its message. */
export function refused(seen: Seen): string {
  assert.equal(seen.status, 429, seen.text);
  assert.match(seen.headers.get('content-type') ?? '', /^application\/json/);
  assert.match(seen.headers.get('x-request-id') ?? '', /^[A-Za-z0-9._-]{1,128}$/);
  assert.equal(seen.headers.get('x-spillway-cost'), null);
  const { message, code, param } = errorIn(seen.text);
  assert.ok(code === 'rate_limit_exceeded' || code === 'insufficient_quota', code);
  assert.equal(param, null);
  return message;
}

/** An answer that reports so many tokens. */
export function took(prompt: number, completion: number, more: object = {}) {
  return chatAnswer({ usage: { prompt_tokens: prompt, completion_tokens: completion, ...more } });
}

/** Values of the headers of that beginning, by the rest of their names. */
export function headersOf({ headers }: Pick<Seen, 'headers'>, prefix: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of headers) if (name.startsWith(prefix)) found[name.slice(prefix.length)] = value;
  return found;
}
