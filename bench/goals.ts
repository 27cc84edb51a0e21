/** What the figures are to be. What an operator is promised stands in README.md; this is what its authors hold it to. */
import { inWords, type Look, seen } from './figures.ts';
import type { PartName } from './parts.ts';
import type { Results } from './results.ts';
import { median } from './statistics.ts';

type Goal = Look & {
  what: string;
  part: PartName;
  row: string;
} & ({ most: number } | { least: number });

/** By how much one row may lie above another that it should equal, for no two processes are quite alike. */
const ALIKE = 1.05;
/** By how much a request may cost more where two processes share the port. */
const TWO_WORKERS = 1.15;
/** Of the answers that a gateway gives which is not asked for too much. */
const AT_FULL_SPEED = 0.9;
/** Milliseconds. */
const READY_WITHIN = 500;
/** Milliseconds beyond the time that it takes to parse a large body. */
const HELD_UP = 5;
/** Of what a stream takes at the bare relay. */
const STREAM_MEMORY = 1.5;

const GOALS: readonly Goal[] = [
  {
    what: 'a request, to the bare Fastify relay',
    part: 'plain',
    row: 'spillway',
    figure: 'cpu',
    as: 'ratio',
    most: 1,
  },
  {
    what: 'a request, to Portkey',
    part: 'plain',
    row: 'spillway',
    figure: 'cpu',
    as: 'ratio',
    to: 'portkey',
    most: 0.1,
  },
  {
    what: 'a stream, to the bare undici relay',
    part: 'stream',
    row: 'spillway',
    figure: 'cpu',
    as: 'ratio',
    most: 1.15,
  },
  {
    what: 'quotas in Redis, to those in memory',
    part: 'plain',
    row: 'redis',
    figure: 'cpu',
    as: 'variant',
    most: 1.6,
  },
  {
    what: '10,000 tenants, to 10',
    part: 'plain',
    row: 'tenants',
    figure: 'cpu',
    as: 'variant',
    most: ALIKE,
  },
  {
    what: '10,000 models, to 10',
    part: 'plain',
    row: 'models',
    figure: 'cpu',
    as: 'variant',
    most: ALIKE,
  },
  {
    what: 'two workers, to two gateways beside each other',
    part: 'processes',
    row: 'workers',
    figure: 'cpuOfTwo',
    as: 'variant',
    most: TWO_WORKERS,
  },
  {
    what: 'two workers, to one, 32 requests at a time for each',
    part: 'processes',
    row: 'workers',
    figure: 'cpu',
    as: 'variant',
    most: TWO_WORKERS,
  },
  {
    what: 'two workers, to one, 1,000 requests a second for each',
    part: 'processes',
    row: 'workers',
    figure: 'cpuSteady',
    as: 'variant',
    most: TWO_WORKERS,
  },
  {
    what: 'two workers, to one, 32 requests at a time between them',
    part: 'plain',
    row: 'workers',
    figure: 'cpu',
    as: 'variant',
    most: TWO_WORKERS,
  },
  {
    what: 'two workers, to one, counted in Redis, 32 requests at a time for each',
    part: 'processes',
    row: 'workers-redis',
    figure: 'cpu',
    as: 'variant',
    most: TWO_WORKERS,
  },
  {
    what: 'two workers, to one, counted in Redis, 32 requests at a time between them',
    part: 'plain',
    row: 'workers-redis',
    figure: 'cpu',
    as: 'variant',
    most: TWO_WORKERS,
  },
  {
    what: 'added latency, median, ms',
    part: 'latency',
    row: 'spillway',
    figure: 'p50',
    as: 'added',
    most: 0.4,
  },
  {
    what: 'added latency, p99, ms',
    part: 'latency',
    row: 'spillway',
    figure: 'p99',
    as: 'added',
    most: 2,
  },
  {
    what: 'first content held back, ms',
    part: 'paced',
    row: 'spillway',
    figure: 'first50',
    as: 'added',
    most: 0.2,
  },
  {
    what: 'a conversation of 20 MB: others wait beyond its parse, ms',
    part: 'body-20m',
    row: 'spillway',
    figure: 'beyond',
    as: 'value',
    most: HELD_UP,
  },
  {
    what: 'an image of 20 MB: others wait beyond its parse, ms',
    part: 'image-20m',
    row: 'spillway',
    figure: 'beyond',
    as: 'value',
    most: HELD_UP,
  },
  {
    what: 'RSS of an open stream, to the bare undici relay',
    part: 'open',
    row: 'spillway',
    figure: 'streamRss',
    as: 'ratio',
    most: STREAM_MEMORY,
  },
  // RSS alone says nothing where a process had memory to spare before.
  {
    what: 'heap of an open stream, collected, to the bare undici relay',
    part: 'open',
    row: 'spillway',
    figure: 'streamHeap',
    as: 'ratio',
    most: STREAM_MEMORY,
  },
  ...(['twice', 'pressure', 'pressure-50k'] as const).flatMap((part): Goal[] => [
    {
      what: `${part}: answers a second, to those without`,
      part,
      row: 'spillway',
      figure: 'answered',
      as: 'value',
      least: AT_FULL_SPEED,
    },
    {
      what: `${part}: another tenant's median, to its median without`,
      part,
      row: 'spillway',
      figure: 'times50',
      as: 'value',
      most: 2,
    },
    {
      what: `${part}: another tenant's p99, to its p99 without`,
      part,
      row: 'spillway',
      figure: 'times99',
      as: 'value',
      most: 2,
    },
  ]),
  {
    what: 'start to ready from the sources with compiled code kept, as `npm start` does, ms',
    part: 'start',
    row: 'spillway',
    figure: 'readyKept',
    as: 'value',
    most: READY_WITHIN,
  },
  {
    what: 'the first start of all from the sources, ms',
    part: 'start',
    row: 'spillway',
    figure: 'ready',
    as: 'value',
    most: READY_WITHIN,
  },
  {
    what: 'start to ready with compiled code kept, as the image does, ms',
    part: 'start',
    row: 'built',
    figure: 'readyKept',
    as: 'value',
    most: READY_WITHIN,
  },
  {
    what: 'the first start of all of the package, ms',
    part: 'start',
    row: 'built',
    figure: 'ready',
    as: 'value',
    most: READY_WITHIN,
  },
];

/** Each goal that was measured, and whether its median keeps to it: lines of a table. */
export function goalRows(results: Results): string[][] {
  return GOALS.flatMap((goal) => {
    const { what, part, row, as } = goal;
    const values = seen(results, part, row, goal);
    if (values.length === 0) return [];
    const middle = median(values);
    const [bound, isMet] =
      'most' in goal
        ? [`at most ${goal.most}`, middle <= goal.most]
        : [`at least ${goal.least}`, middle >= goal.least];
    return [[what, bound, inWords(values, as), isMet ? 'met' : '**missed**']];
  });
}
