/** The parts of a run: what is asked in each, for how long, and which figures its table shows. */
import { conversation, type Dialect, picture, question } from './loads.ts';

export type PartName =
  | 'plain'
  | 'processes'
  | 'stream'
  | 'body-100k'
  | 'body-1m'
  | 'body-20m'
  | 'image-20m'
  | 'latency'
  | 'paced'
  | 'open'
  | 'twice'
  | 'pressure'
  | 'pressure-50k'
  | 'start';

/**
 * `cpu`, `reads`, `instructions`: of one request or stream, µs, calls of read(), and thousands of instructions outside the kernel. `cpuOfTwo`: `cpu` while two processes work, of one gateway or of two;
 * `cpuSteady`: at a fixed rate. `perSecond`: requests or streams. `rss`: MB, under load. `p50`, `p99`, `p999`: milliseconds to the
 * last byte. `first50`, `first99`: milliseconds from the upstream writing the first content to its arrival. `streamRss`, `streamHeap`: KB for
 * each open stream; `left`: KB of heap for each, once all have gone.
 * `wait`: milliseconds of the longest probe while a body is worked on, the median of the bodies; `worst`: of all of them; `parse`: what the body takes to be parsed; `beyond`: `wait` without that, and without what a probe takes otherwise; `quiet`: the longest probe without a body. `answered`: requests that a crowd gets answered in a second, for each that as many clients
 * get as can be served at once; `answerCpu`: CPU that an answer takes meanwhile, refusals and those under way at the end included, for each that it takes then; `offered`: requests of the crowd that were sent (in a closed loop: answered or refused), for each that as many get answered as can be served at once; `refused`: requests a second, of the crowd; `unsent`: those a second that were due and found no connection free, `late`: milliseconds that the loader was late with what was due, the 99th percentile; `other50`, `other99`: milliseconds that another tenant waits meanwhile, `times50`, `times99`: for
 * each that it waits otherwise. `ready`, `readyCpu`: milliseconds from the start of a process until it says that it listens, and of
 * CPU until then; `readyKept`, `readyCpuKept`: the same where the code that Node compiled was kept from the start before.
 */
export type Figure =
  | 'cpu'
  | 'cpuOfTwo'
  | 'cpuSteady'
  | 'reads'
  | 'instructions'
  | 'perSecond'
  | 'rss'
  | 'p50'
  | 'p99'
  | 'p999'
  | 'first50'
  | 'first99'
  | 'streamRss'
  | 'streamHeap'
  | 'left'
  | 'wait'
  | 'worst'
  | 'parse'
  | 'beyond'
  | 'quiet'
  | 'answered'
  | 'answerCpu'
  | 'offered'
  | 'refused'
  | 'unsent'
  | 'late'
  | 'other50'
  | 'other99'
  | 'times50'
  | 'times99'
  | 'ready'
  | 'readyCpu'
  | 'readyKept'
  | 'readyCpuKept';

/** `value`: as it is. `ratio`: to the part's yardstick. `variant`: to the row that it is a variant of. `added`: beyond the upstream alone. */
export type Comparison = 'value' | 'ratio' | 'variant' | 'added';

export interface Column {
  title: string;
  figure: Figure;
  as: Comparison;
}

/** Rounds, and seconds of each. Before the first one comes what does not count: see `measure/warm-up.ts`. */
export interface Extent {
  rounds: number;
  seconds: number;
  /** So many short requests or streams, as the part has them, for each process. */
  warmUp: number;
  /** Afterwards seconds of the part's own load, where that is another one. */
  settle: number;
}

/** What a process needs to reach its speed (README.md), and what --quick has time for. */
const WARM = { requests: 80_000, streams: 8_000 };
const LUKEWARM = { requests: 10_000, streams: 1_000 };
/** Streams, before the first look at the memory of a process: with --quick as well, for it is compared with itself. */
const GROWN = 2_000;

export interface Part {
  name: PartName;
  title: string;
  /** The row that the ratios are taken against. */
  yardstick: 'fastify' | 'http' | 'spillway';
  columns: readonly Column[];
  full: Extent;
  quick: Extent;
  how: Closed | LargeBody | Pressure | { kind: 'processes' | 'latency' | 'paced' | 'open' | 'start' };
}

/** A number of connections, each asking again when it has its answer. */
export interface Closed {
  kind: 'closed';
  streamed: boolean;
  /** Few for large bodies: requests under way when a round ends cost CPU and are not counted. */
  connections: number;
  body(dialect: Dialect): Buffer;
}

/** Bodies one after the other that hold up what comes beside them. */
export interface LargeBody {
  kind: 'large-body';
  body(): Buffer;
}

/** A crowd of one tenant's clients, and another tenant that asks now and then. */
export interface Pressure {
  kind: 'pressure';
  /** As many as can be served at once, and so many as cannot. */
  few: number;
  crowd: number;
  /** Together they ask for so many times what few are answered, at a fixed rate, on connections that stand; null = each asks again at once when it is answered or refused. */
  times: number | null;
  body(): Buffer;
}

function cpuColumns(what: string, yardstick: string): Column[] {
  return [
    { title: `CPU µs a ${what}`, figure: 'cpu', as: 'value' },
    { title: `to \`${yardstick}\``, figure: 'cpu', as: 'ratio' },
    { title: 'to the row it varies', figure: 'cpu', as: 'variant' },
  ];
}

function closedColumns(what: string, yardstick: string): Column[] {
  return [
    ...cpuColumns(what, yardstick),
    { title: 'k instr.', figure: 'instructions', as: 'value' },
    { title: `to \`${yardstick}\``, figure: 'instructions', as: 'ratio' },
    { title: `${what}s/s`, figure: 'perSecond', as: 'value' },
    { title: `reads a ${what}`, figure: 'reads', as: 'value' },
    { title: 'RSS MB', figure: 'rss', as: 'value' },
  ];
}

function bodies(name: PartName, title: string, bytes: number, connections: number): Part {
  return {
    name,
    title: `${title}, an answer of 700 bytes, ${connections} at a time`,
    yardstick: 'fastify',
    columns: closedColumns('request', 'fastify'),
    full: { rounds: 7, seconds: 2, warmUp: WARM.requests, settle: 3 },
    quick: { rounds: 3, seconds: 1, warmUp: LUKEWARM.requests, settle: 1 },
    how: { kind: 'closed', streamed: false, connections, body: () => conversation(bytes) },
  };
}

function largeBody(name: PartName, title: string, body: () => Buffer): Part {
  return {
    name,
    title: `${title}, one after the other: the longest that a short request waits meanwhile`,
    yardstick: 'fastify',
    columns: [
      { title: 'longest wait, ms', figure: 'wait', as: 'value' },
      { title: 'to that of `fastify`', figure: 'wait', as: 'ratio' },
      { title: 'to parse the body, ms', figure: 'parse', as: 'value' },
      { title: 'wait beyond that, ms', figure: 'beyond', as: 'value' },
      { title: 'longest of all bodies, ms', figure: 'worst', as: 'value' },
      { title: 'longest without a body, ms', figure: 'quiet', as: 'value' },
      { title: 'RSS MB', figure: 'rss', as: 'value' },
    ],
    full: { rounds: 5, seconds: 3, warmUp: WARM.requests, settle: 3 },
    quick: { rounds: 2, seconds: 1, warmUp: LUKEWARM.requests, settle: 1 },
    how: { kind: 'large-body', body },
  };
}

/** `crowd`: who they are, in words. */
function pressure(name: PartName, title: string, crowd: string, how: Omit<Pressure, 'kind'>): Part {
  return {
    name,
    title: `${title}: ${crowd}, and 50 requests a second of another tenant, whose model takes 50 ms`,
    yardstick: 'fastify',
    columns: [
      { title: `answers/s, to those with ${how.few} clients`, figure: 'answered', as: 'value' },
      { title: 'that share, to that of `fastify`', figure: 'answered', as: 'ratio' },
      { title: `CPU an answer, to that with ${how.few} clients`, figure: 'answerCpu', as: 'value' },
      { title: `requests/s, to answers/s with ${how.few} clients`, figure: 'offered', as: 'value' },
      { title: 'refused/s', figure: 'refused', as: 'value' },
      { title: 'not sent/s, no connection free', figure: 'unsent', as: 'value' },
      { title: 'loader late, p99, ms', figure: 'late', as: 'value' },
      { title: 'the other tenant: median, ms', figure: 'other50', as: 'value' },
      { title: 'to its median otherwise', figure: 'times50', as: 'value' },
      { title: 'p99, ms', figure: 'other99', as: 'value' },
      { title: 'to its p99 otherwise', figure: 'times99', as: 'value' },
      { title: 'RSS MB', figure: 'rss', as: 'value' },
    ],
    full: { rounds: 3, seconds: how.times === null ? 4 : 5, warmUp: WARM.requests, settle: 4 },
    quick: { rounds: 2, seconds: 3, warmUp: LUKEWARM.requests, settle: 3 },
    how: { kind: 'pressure', ...how },
  };
}

const IMPATIENT = 'a thousand clients of one tenant that ask again at once, be they answered or refused';

export const PARTS: readonly Part[] = [
  {
    name: 'plain',
    title: 'Plain: a request of 240 bytes, an answer of 700, 32 at a time',
    yardstick: 'fastify',
    columns: closedColumns('request', 'fastify'),
    full: { rounds: 10, seconds: 1, warmUp: WARM.requests, settle: 0 },
    quick: { rounds: 3, seconds: 1, warmUp: LUKEWARM.requests, settle: 0 },
    how: { kind: 'closed', streamed: false, connections: 32, body: (dialect) => question(dialect) },
  },
  {
    name: 'processes',
    title:
      'One process and two, each with the same load: 32 plain requests at a time for each process, then 1,000 a second for each; “of two” is with another gateway beside a row of one process',
    yardstick: 'fastify',
    columns: [
      { title: 'CPU µs a request', figure: 'cpu', as: 'value' },
      { title: 'to the row it varies', figure: 'cpu', as: 'variant' },
      { title: 'of two: CPU µs', figure: 'cpuOfTwo', as: 'value' },
      { title: 'to the row it varies', figure: 'cpuOfTwo', as: 'variant' },
      { title: 'at 1,000 a second: CPU µs', figure: 'cpuSteady', as: 'value' },
      { title: 'to the row it varies', figure: 'cpuSteady', as: 'variant' },
      { title: 'requests/s', figure: 'perSecond', as: 'value' },
    ],
    full: { rounds: 7, seconds: 1, warmUp: WARM.requests, settle: 1 },
    quick: { rounds: 3, seconds: 1, warmUp: LUKEWARM.requests, settle: 1 },
    how: { kind: 'processes' },
  },
  {
    name: 'stream',
    title: 'Stream: 98 pieces of content, as fast as they are taken, 32 at a time',
    yardstick: 'http',
    columns: closedColumns('stream', 'http'),
    full: { rounds: 10, seconds: 1, warmUp: WARM.streams, settle: 0 },
    quick: { rounds: 3, seconds: 1, warmUp: LUKEWARM.streams, settle: 0 },
    how: {
      kind: 'closed',
      streamed: true,
      connections: 32,
      body: (dialect) => question(dialect, { stream: true }),
    },
  },
  bodies('body-100k', 'A request of 100 KB', 100 * 1024, 8),
  bodies('body-1m', 'A request of 1 MB', 1024 * 1024, 2),
  largeBody('body-20m', 'Conversations of 20 MB', () => conversation(20 * 1024 * 1024)),
  largeBody('image-20m', 'Requests of 20 MB with an image', () => picture(20 * 1024 * 1024)),
  {
    name: 'latency',
    title:
      'Added latency at 1,000 plain requests a second, open loop: milliseconds beyond the upstream alone',
    yardstick: 'fastify',
    columns: [
      { title: 'median', figure: 'p50', as: 'added' },
      { title: 'p99', figure: 'p99', as: 'added' },
      { title: 'p99.9', figure: 'p999', as: 'added' },
      { title: 'median, whole', figure: 'p50', as: 'value' },
      { title: 'p99, whole', figure: 'p99', as: 'value' },
    ],
    full: { rounds: 5, seconds: 3, warmUp: WARM.requests, settle: 2 },
    quick: { rounds: 2, seconds: 1, warmUp: LUKEWARM.requests, settle: 0.4 },
    how: { kind: 'latency' },
  },
  {
    name: 'paced',
    title: 'Streams as a model writes them: 100 events 5 ms apart, 50 new ones a second, open loop',
    yardstick: 'http',
    columns: [
      ...cpuColumns('stream', 'http'),
      { title: 'reads a stream', figure: 'reads', as: 'value' },
      { title: 'first content held back, ms', figure: 'first50', as: 'added' },
      { title: 'p99', figure: 'first99', as: 'added' },
      { title: 'median, whole', figure: 'first50', as: 'value' },
    ],
    full: { rounds: 5, seconds: 3, warmUp: WARM.streams, settle: 2 },
    quick: { rounds: 2, seconds: 1, warmUp: LUKEWARM.streams, settle: 0.4 },
    how: { kind: 'paced' },
  },
  {
    name: 'open',
    title:
      'Open streams: 5,000 at once (1,000 with --quick), an event each second, one reader in fifty slow; processes of their own',
    yardstick: 'http',
    columns: [
      { title: 'RSS KB a stream', figure: 'streamRss', as: 'value' },
      { title: 'to `http`', figure: 'streamRss', as: 'ratio' },
      { title: 'to the row it varies', figure: 'streamRss', as: 'variant' },
      { title: 'heap KB a stream, collected', figure: 'streamHeap', as: 'value' },
      { title: 'to `http`', figure: 'streamHeap', as: 'ratio' },
      { title: 'KB of it left when all have gone', figure: 'left', as: 'value' },
    ],
    full: { rounds: 3, seconds: 8, warmUp: GROWN, settle: 0 },
    quick: { rounds: 1, seconds: 3, warmUp: GROWN, settle: 0 },
    how: { kind: 'open' },
  },
  pressure(
    'twice',
    'Twice the load',
    'on two thousand connections of one tenant that stand, requests at twice the rate at which 32 clients get answers',
    {
      few: 32,
      crowd: 2000,
      times: 2,
      body: () => question('chat'),
    },
  ),
  pressure('pressure', 'Pressure', IMPATIENT, {
    few: 32,
    crowd: 1000,
    times: null,
    body: () => question('chat'),
  }),
  pressure('pressure-50k', 'Pressure with bodies of 50 KB', IMPATIENT, {
    few: 16,
    crowd: 1000,
    times: null,
    body: () => conversation(50 * 1024),
  }),
  {
    name: 'start',
    title:
      'Start: from the start of the process until it says that it listens; “kept” is with what Node compiled at the start before',
    yardstick: 'fastify',
    columns: [
      { title: 'ms', figure: 'ready', as: 'value' },
      { title: 'to `fastify`', figure: 'ready', as: 'ratio' },
      { title: 'CPU ms', figure: 'readyCpu', as: 'value' },
      { title: 'kept: ms', figure: 'readyKept', as: 'value' },
      { title: 'to `fastify`', figure: 'readyKept', as: 'ratio' },
      { title: 'kept: CPU ms', figure: 'readyCpuKept', as: 'value' },
    ],
    full: { rounds: 7, seconds: 0, warmUp: 0, settle: 0 },
    quick: { rounds: 2, seconds: 0, warmUp: 0, settle: 0 },
    how: { kind: 'start' },
  },
];

export function partOf(name: PartName): Part {
  const found = PARTS.find((part) => part.name === name);
  if (found === undefined) throw new Error(`there is no part ${name}`);
  return found;
}
