/**
 * What a stream costs in memory for as long as it is open: a process of its own for each round, for one that has worked before has memory
 * to spare. A collection comes before each look at the heap, so that only what is in use is counted.
 */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Asked, requestBytes } from '../client.ts';
import { HELD_MS, question } from '../loads.ts';
import { MEMORY_FILE, type Memory, memoryAfterCollection } from '../memory.ts';
import type { Part } from '../parts.ts';
import { type Row, rowOf } from '../rows.ts';
import type { Started } from '../start/start.ts';
import { wrongWith } from './check.ts';
import { asked, type Entrant, extentOf, type Plan, type Sample } from './plan.ts';
import { warmUp } from './warm-up.ts';

const STREAMS = 5000;
const QUICK_STREAMS = 1000;
/** One reader in so many takes but a piece at a time, once in each HELD_MS. */
const ONE_SLOW_IN = 50;
/** Streams are opened so many at a time. */
const BATCH = 100;
const PATIENCE_MS = 20_000;

const SHORT = question('chat', { stream: true });
const HELD = question('chat', { stream: true, user: 'held' });
const SLOW = question('chat', { stream: true, user: 'slow' });

const COLLECTOR = join(import.meta.dirname, '../collector.ts');

export function openStreamEntrants(plan: Plan, part: Part, rows: readonly string[]): Entrant[] {
  return rows.map((name) => {
    let round = 0;
    return {
      row: name,
      warmUp: async () => {},
      measure: () => oneRound(plan, part, rowOf(name) as Row, ++round),
    };
  });
}

async function oneRound(plan: Plan, part: Part, row: Row, round: number): Promise<Sample> {
  const label = `${row.name}-open-${round}`;
  const started = await row.start({
    upstream: plan.direct,
    scratch: plan.scratch,
    label,
    node: ['--expose-gc', '--import', COLLECTOR],
    env: { [MEMORY_FILE]: join(plan.scratch, `${label}.memory`) },
  });
  try {
    const wrong = await wrongWith(asked(row, started, true, SHORT), row.dialect, true);
    if (wrong !== null) throw new Error(wrong);
    if (row.dialect !== 'chat') throw new Error('its clients do not speak chat');
    const memory = () => memoryAfterCollection(started.running, join(plan.scratch, `${label}.memory`));
    await warmUp(plan, part, row, started);
    return await holding(plan, part, row, started, memory);
  } finally {
    await started.stop();
  }
}

async function holding(
  plan: Plan,
  part: Part,
  row: Row,
  started: Started,
  memory: () => Promise<Memory>,
): Promise<Sample> {
  const count = plan.quick ? QUICK_STREAMS : STREAMS;
  const before = await memory();
  const streams = await openAll(
    asked(row, started, true, HELD),
    requestBytes(asked(row, started, true, SLOW)),
    count,
  );
  try {
    await passing(streams, extentOf(part, plan.quick).seconds * 1000);
    // RSS as it is while the streams pass; a collection would only make it better.
    const rss = started.running.usage().rssBytes;
    const open = await memory();
    const failed = streams.filter((stream) => stream.isOver).length;
    for (const stream of streams) stream.close();
    await pause(1500);
    const after = await memory();
    const each = (bytes: number) => bytes / 1024 / count;
    const streamRss = each(rss - before.rssBytes);
    return {
      figures: {
        streamRss,
        streamHeap: each(open.heapBytes - before.heapBytes),
        left: each(after.heapBytes - before.heapBytes),
      },
      failed,
      note: `${streamRss.toFixed(1)} KB a stream`,
    };
  } finally {
    for (const stream of streams) stream.close();
  }
}

async function openAll(held: Asked, slowRequest: Buffer, count: number): Promise<HeldStream[]> {
  const port = Number(new URL(held.url).port);
  const request = requestBytes(held);
  const streams: HeldStream[] = [];
  while (streams.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - streams.length) }, (_, index) => {
      const isSlow = (streams.length + index) % ONE_SLOW_IN === 0;
      return new HeldStream(port, isSlow ? slowRequest : request, isSlow);
    });
    streams.push(...batch);
    await Promise.race([Promise.all(batch.map((stream) => stream.begun)), pause(PATIENCE_MS)]);
  }
  return streams;
}

/** Lets events pass for a while. */
async function passing(streams: readonly HeldStream[], milliseconds: number): Promise<void> {
  const slow = streams.filter((stream) => stream.isSlow);
  for (let passed = 0; passed < milliseconds; passed += HELD_MS) {
    await pause(HELD_MS);
    for (const stream of slow) stream.readOnce();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The reader of a stream that does not end. */
class HeldStream {
  readonly isSlow: boolean;
  /** Resolves when it has begun, or is over. */
  readonly begun: Promise<void>;
  /** Refused, answered otherwise than with a stream, or ended by the other side. */
  isOver = false;
  readonly #socket: Socket;

  constructor(port: number, request: Buffer, isSlow: boolean) {
    this.isSlow = isSlow;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.write(request);
    this.begun = new Promise((resolve) => {
      this.#socket.once('data', (bytes: Buffer) => {
        if (!bytes.toString('latin1').startsWith('HTTP/1.1 200')) this.isOver = true;
        resolve();
      });
      this.#socket.on('error', () => {});
      this.#socket.once('close', () => {
        this.isOver = true;
        resolve();
      });
    });
    this.#socket.on('data', () => {
      if (this.isSlow) this.#socket.pause();
    });
  }

  /** A slow one takes what has come, up to 64 KB, and then waits again. */
  readOnce(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}
