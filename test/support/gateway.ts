import { fileURLToPath } from 'node:url';
import type { Log } from '../../src/accounting/log.ts';
import { App } from '../../src/app/app.ts';
import { loadText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { MediaOptions } from '../../src/media/media.ts';
import { type EventLoop, systemLoop } from '../../src/overload/event-loop.ts';
import type { ListenerLimits } from '../../src/server/limits.ts';
import { USUAL_LIMITS } from '../../src/server/limits.ts';
import { ManualClock } from './manual-clock.ts';

/** Where relative paths in a test's configuration begin. */
const CONFIG_FILE = fileURLToPath(new URL('../config/test.yaml', import.meta.url));

export interface GatewayOptions {
  clock?: Clock;
  chance?: () => number;
  env?: Record<string, string>;
  /** Put over the usual ones. */
  limits?: Partial<ListenerLimits>;
  /** What may be fetched that clients name by URL, and how. */
  media?: MediaOptions;
  /** By which it is known how busy the gateway is; one that is always on time unless said. */
  loop?: EventLoop;
  /** Bytes of request bodies that are held at once at most. */
  bodyBytes?: number;
}

/** What else the process does, the test itself above all, is not to be taken for load. */
const ON_TIME: EventLoop = { ...systemLoop, clock: new ManualClock() };

/** One request's line in the log. */
export interface RequestLine {
  id: string;
  tenant: string | null;
  key: string | null;
  model: string | null;
  target: string | null;
  status: number;
  outcome: string;
  stream: boolean;
  tries: { target: string; outcome: string; status: number | null; ms: number }[];
  first_token_ms: number | null;
  ms: number;
  gateway_ms: number;
  tokens: {
    input: number;
    output: number;
    cached: number;
    cache_write?: number;
    reasoning: number;
    estimated?: true;
  } | null;
  cost_usd: number | null;
  cache_saved_usd?: number;
  /** Of a request that was refused: the code of the error, and the quota that was in the way. */
  error?: string;
  quota?: string;
}

export interface UpstreamRow {
  id: string;
  breaker: string;
  opens: number;
  cooldown_until: string | null;
  in_flight: number;
  last_error: string | null;
}

export interface TestGateway {
  /** Base URL for an SDK: ends in /v1. */
  url: string;
  /** The client listener's origin. */
  origin: string;
  admin: string;
  app: App;
  /** Lines of the log that are no request's. */
  logs: { level: string; message: string; fields: Record<string, unknown> }[];
  /** Lines of requests, in the order in which these ended. */
  requests: RequestLine[];
  /** Resolves when so many requests have ended. */
  ended(count: number): Promise<RequestLine[]>;
  /** The text that Prometheus would read. */
  metrics(): Promise<string>;
  /** The value of a series, such as `spillway_in_flight` or `spillway_attempts_total{provider="a",…}`; null if there is none. */
  metric(series: string): Promise<number | null>;
  upstreams(): Promise<UpstreamRow[]>;
  /** Posts a chat request; `body` gets `model` m and one message unless it says otherwise. */
  chat(
    body?: Record<string, unknown>,
    headers?: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<Response>;
  /** What the next reload will read. */
  changeConfig(config: string | object): void;
  close(): Promise<void>;
}

function load(yaml: string, env: Record<string, string>) {
  const loaded = loadText(CONFIG_FILE, yaml, { env, readSecrets: true });
  if (!loaded.ok) return { ok: false as const, problems: loaded.problems.map(formatProblem) };
  return { ok: true as const, config: loaded.config };
}

/**
 * The whole gateway in this process, on real sockets and free ports. The configuration needs no `version`, `listen` or `admin`, and is
 * open to everyone unless it says `auth`. JSON does as well as YAML.
 */
export async function startGateway(
  config: string | object,
  options: GatewayOptions = {},
): Promise<TestGateway> {
  const { clock = systemClock, chance = Math.random, env = {} } = options;
  const complete = (given: string | object) => {
    const text = typeof given === 'string' ? given : JSON.stringify(given, null, 2);
    if (typeof given !== 'string') {
      return JSON.stringify({
        version: 1,
        listen: '127.0.0.1:0',
        admin: { listen: '127.0.0.1:0' },
        auth: 'none',
        ...given,
      });
    }
    const defaults = [
      ['version', 'version: 1'],
      ['listen', 'listen: 127.0.0.1:0'],
      ['admin', 'admin: { listen: 127.0.0.1:0 }'],
      ['auth', 'auth: none'],
    ] as const;
    const missing = defaults
      .filter(([key]) => !new RegExp(`^${key}:`, 'm').test(text))
      .map(([, line]) => line);
    return `${missing.join('\n')}\n${text}`;
  };

  let text = complete(config);
  const read = load(text, env);
  if (!read.ok) throw new Error(`the test's configuration is faulty:\n${read.problems.join('\n')}`);

  const logs: TestGateway['logs'] = [];
  const requests: RequestLine[] = [];
  const waiting: { count: number; resolve: (lines: RequestLine[]) => void }[] = [];
  const note = (level: string) => (fields: object, message: string) => {
    logs.push({ level, message, fields: fields as Record<string, unknown> });
  };
  const log: Log = {
    debug: note('debug'),
    info: note('info'),
    warn: note('warn'),
    error: note('error'),
    fatal: note('fatal'),
    setLevel: () => {},
    writes: () => true,
    line: (line) => {
      requests.push(JSON.parse(line) as RequestLine);
      for (const wait of waiting.filter(({ count }) => requests.length >= count)) wait.resolve(requests);
    },
  };
  const app = new App({
    config: read.config,
    fileName: 'spillway.yaml',
    readConfig: () => load(text, env),
    log,
    clock,
    chance,
    environment: env,
    limits: { ...USUAL_LIMITS, ...options.limits },
    loop: options.loop ?? ON_TIME,
    ...(options.media === undefined ? {} : { media: options.media }),
    ...(options.bodyBytes === undefined ? {} : { bodyBytes: options.bodyBytes }),
  });
  const { listen, admin } = await app.listen();
  const metrics = async () => (await fetch(`${admin}/metrics`)).text();
  return {
    url: `${listen}/v1`,
    origin: listen,
    admin,
    app,
    logs,
    requests,
    ended: (count) =>
      requests.length >= count
        ? Promise.resolve(requests)
        : new Promise((resolve) => waiting.push({ count, resolve })),
    metrics,
    metric: async (series) => {
      const line = (await metrics()).split('\n').find((candidate) => candidate.startsWith(`${series} `));
      return line === undefined ? null : Number(line.slice(series.length + 1));
    },
    upstreams: async () => {
      const response = await fetch(`${admin}/admin/upstreams`);
      return ((await response.json()) as { upstreams: UpstreamRow[] }).upstreams;
    },
    chat: (body = {}, headers = {}, signal) =>
      fetch(`${listen}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body }),
        ...(signal === undefined ? {} : { signal }),
      }),
    changeConfig: (changed) => {
      text = complete(changed);
    },
    close: () => app.destroy(),
  };
}
