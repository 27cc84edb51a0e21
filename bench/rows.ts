/** The rows of the tables: who is measured, in which parts, and how it is started. */
import type { Dialect } from './loads.ts';
import { PARTS, type PartName } from './parts.ts';
import { startNginx } from './start/nginx.ts';
import { startPortkey } from './start/portkey.ts';
import { startRelay } from './start/relay.ts';
import { startSpillway } from './start/spillway.ts';
import type { Start } from './start/start.ts';
import type { Variant } from './start/variant.ts';

export interface Row {
  name: string;
  title: string;
  /** What its clients speak. */
  dialect: Dialect;
  /** The row that it is a variant of. */
  varies?: string;
  parts: readonly PartName[];
  /** Those of them that --quick has time for. */
  quick: readonly PartName[];
  /** That answer. */
  processes: number;
  start: Start;
}

const ALL = PARTS.map(({ name }) => name);
/** Those in which one relay is enough to say what it costs where nobody is refused, and no body is looked at closely. */
const OF_ONE_RELAY: readonly string[] = ['pressure', 'large-body'];
const OTHERS = PARTS.filter(({ how }) => !OF_ONE_RELAY.includes(how.kind)).map(({ name }) => name);

function relay(name: 'http' | 'fastify', title: string, quick: readonly PartName[]): Row {
  const parts = name === 'fastify' ? ALL : OTHERS;
  return { name, title, dialect: 'chat', parts, quick, processes: 1, start: startRelay(name) };
}

function spillway(row: Omit<Row, 'dialect' | 'processes' | 'start'> & Variant & { dialect?: Dialect }): Row {
  const { name, title, dialect = 'chat', varies, parts, quick, ...variant } = row;
  const started = { processes: variant.workers ?? 1, start: startSpillway(variant) };
  return { name, title, dialect, parts, quick, ...started, ...(varies === undefined ? {} : { varies }) };
}

export const ROWS: readonly Row[] = [
  {
    name: 'nginx',
    title: 'nginx, proxy_pass, keep-alive',
    dialect: 'chat',
    parts: ['plain', 'stream', 'latency', 'open'],
    quick: [],
    processes: 1,
    start: startNginx,
  },
  relay('http', 'node:http + undici stream(), nothing else', ['stream', 'paced', 'open']),
  relay('fastify', 'Fastify + undici request() + JSON.parse, nothing else', [
    'plain',
    'body-1m',
    'latency',
    'start',
  ]),
  {
    name: 'fastify-workers',
    title: 'the Fastify relay in two processes',
    dialect: 'chat',
    varies: 'fastify',
    parts: ['plain', 'processes'],
    quick: [],
    processes: 2,
    start: startRelay('fastify-two'),
  },
  {
    name: 'portkey',
    title: 'Portkey gateway 1.15.2',
    dialect: 'chat',
    parts: ['plain', 'stream', 'body-100k', 'latency', 'paced'],
    quick: [],
    processes: 1,
    start: startPortkey,
  },
  spillway({
    name: 'auth',
    title: 'Spillway, keys and no quotas',
    varies: 'spillway',
    parts: ['plain', 'processes'],
    quick: [],
    quotas: false,
  }),
  spillway({
    name: 'spillway',
    title: 'Spillway, everything on, two quotas',
    parts: ALL,
    quick: ['plain', 'stream', 'body-1m', 'latency', 'paced', 'open', 'start'],
  }),
  spillway({
    name: 'built',
    title: 'the same, as the package and the image have it',
    varies: 'spillway',
    parts: ['start'],
    quick: ['start'],
    built: true,
  }),
  spillway({
    name: 'redis',
    title: 'the same, counted in Redis',
    varies: 'spillway',
    parts: ['plain', 'processes', 'stream', 'latency'],
    quick: ['plain'],
    redis: true,
  }),
  spillway({
    name: 'tenants',
    title: 'with 10,000 tenants, not 10',
    varies: 'spillway',
    parts: ['plain'],
    quick: [],
    tenants: 10_000,
  }),
  spillway({
    name: 'models',
    title: 'with 10,000 models of two targets each, not 10',
    varies: 'spillway',
    parts: ['plain'],
    quick: [],
    models: 10_000,
  }),
  spillway({
    name: 'workers',
    title: 'with two workers, keys and no quotas',
    varies: 'auth',
    parts: ['plain', 'processes'],
    quick: [],
    workers: 2,
    quotas: false,
  }),
  spillway({
    name: 'workers-redis',
    title: 'with two workers, counted in Redis',
    varies: 'redis',
    parts: ['plain', 'processes', 'stream'],
    quick: [],
    workers: 2,
    redis: true,
  }),
  spillway({
    name: 'continue',
    title: 'with `mid_stream: continue`',
    varies: 'spillway',
    parts: ['stream', 'paced', 'open'],
    quick: [],
    midStream: 'continue',
  }),
  spillway({
    name: 'anthropic',
    title: 'translated: chat to Anthropic',
    varies: 'spillway',
    parts: ['plain', 'stream'],
    quick: ['stream'],
    adapter: 'anthropic',
  }),
  spillway({
    name: 'gemini',
    title: 'translated: chat to Gemini',
    varies: 'spillway',
    parts: ['plain', 'stream'],
    quick: [],
    adapter: 'gemini',
  }),
  spillway({
    name: 'bedrock',
    title: 'translated: chat to Bedrock',
    varies: 'spillway',
    parts: ['plain', 'stream'],
    quick: [],
    adapter: 'bedrock',
  }),
  spillway({
    name: 'messages',
    title: 'relayed: Messages to Anthropic',
    dialect: 'messages',
    varies: 'spillway',
    parts: ['plain', 'stream'],
    quick: [],
    adapter: 'anthropic',
  }),
];

export function rowOf(name: string): Row | undefined {
  return ROWS.find((row) => row.name === name);
}
