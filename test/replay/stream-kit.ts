/** Streams of made-up events, those who write them and those who read them. */
import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { StreamBounds } from '../../src/replay/memory-streams.ts';
import { EventNumbers } from '../../src/replay/number-events.ts';
import { RedisStreams } from '../../src/replay/redis-streams.ts';
import { Seal } from '../../src/replay/seal.ts';
import type { Reading, ReadingEnd, StreamLog, StreamLogs } from '../../src/replay/stream-log.ts';
import { type OpenState, openState } from '../../src/state/connect.ts';
import type { RedisSettings } from '../../src/state/settings.ts';
import { type CleansUp, until } from '../support/redis.ts';

/** The text of an event, as its client is given it. */
export function event(number: number, text = `token ${number}`): string {
  return `id: ${number}\ndata: {"text":"${text}"}\n\n`;
}

/** Events from the one to the other, both included. */
export function events(from: number, to: number): string {
  let all = '';
  for (let i = from; i <= to; i++) all += event(i);
  return all;
}

/** Writes a stream as a gateway does. */
export class Writer {
  readonly log: StreamLog;
  wasRemoved = 0;
  id = '';
  readonly #numbers = new EventNumbers();

  constructor(streams: StreamLogs, stream: { wanted?: string; tenant?: string; unused?: boolean } = {}) {
    const { wanted = 's', tenant = 'acme', unused = true } = stream;
    this.log = streams.open({
      tenant,
      wanted,
      unused,
      fresh: () => `fresh-${randomUUID()}`,
      dialect: 'chat',
      removed: () => {
        this.wasRemoved += 1;
      },
    });
  }

  begin(): this {
    this.id = this.log.begin();
    return this;
  }

  /** So many more events, in one piece. */
  write(count: number): this {
    const from = this.#numbers.last + 1;
    let text = '';
    for (let i = from; i < from + count; i++) text += `data: {"text":"token ${i}"}\n\n`;
    return this.writeText(text);
  }

  writeText(text: string): this {
    const { kept, count } = this.#numbers.add(Buffer.from(text));
    if (kept !== null) this.log.append(kept, count);
    return this;
  }

  end(): this {
    this.log.end();
    return this;
  }
}

/** Reads a stream, as slowly as it is told to. */
export class Reader {
  text = '';
  how: ReadingEnd | null = null;
  ends = 0;
  /** How many writes it takes before it says that it is slow; more with `take`. */
  room: number;
  readonly reading: Reading;
  readonly #waiting: (() => void)[] = [];

  constructor(reading: Reading, room = Number.POSITIVE_INFINITY) {
    this.reading = reading;
    this.room = room;
    reading.flow({
      write: (bytes) => {
        if (this.how !== null) throw new Error('events after the end');
        this.text += bytes.toString();
        this.room -= 1;
        return this.room > 0;
      },
      end: (how) => {
        this.how = how;
        this.ends += 1;
        for (const resolve of this.#waiting) resolve();
      },
    });
  }

  take(room = 1): void {
    this.room = room;
    this.reading.resume();
  }

  /** Of the last event that came. */
  get last(): number {
    const found = [...this.text.matchAll(/^id: (\d+)$/gm)].at(-1);
    return found === undefined ? 0 : Number(found[1]);
  }

  /** Resolves to how it ended. */
  async ended(): Promise<ReadingEnd> {
    if (this.how === null) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.how as ReadingEnd;
  }
}

/** Fails unless there is something to be read. */
export async function open(
  streams: StreamLogs,
  id: string,
  after = 0,
  { tenant = 'acme', room = Number.POSITIVE_INFINITY } = {},
): Promise<Reader> {
  const found = await streams.read(tenant, id, after);
  if (found === 'unknown' || 'kind' in found) throw new Error(`nothing to read: ${JSON.stringify(found)}`);
  return new Reader(found, room);
}

export interface GatewayOptions {
  clock?: Clock;
  prefix?: string;
  secret?: string | null;
  commandTimeout?: number;
  bounds?: StreamBounds;
  /** Nobody waits for what may be on its way, unless it is told: `openSoon` does that. Milliseconds. */
  patience?: number;
  onFault?: (error: unknown) => void;
}

export interface Gateway {
  streams: RedisStreams;
  client: OpenState;
  /** Ends it as a crash does: it says nothing more. */
  die(): Promise<void>;
}

/** One gateway's streams, with a connection of its own. */
export async function openGateway(
  t: CleansUp,
  redis: RedisSettings | string,
  options: GatewayOptions = {},
): Promise<Gateway> {
  const { clock = systemClock, prefix = 'spillway', secret = null, commandTimeout = 2000 } = options;
  const settings = typeof redis === 'string' ? ({ kind: 'single', url: redis } as const) : redis;
  const gateway = randomUUID();
  const client = openState(
    { redis: settings, keyPrefix: prefix, commandTimeout, onOutage: 'local' },
    { clock: systemClock, chance: Math.random, gateway },
  );
  await client.started;
  const streams = new RedisStreams({
    client,
    keyPrefix: prefix,
    gateway,
    clock,
    patience: options.patience ?? 0,
    seal: new Seal(secret),
    onFault:
      options.onFault ??
      ((error) => {
        throw error;
      }),
    ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
  });
  const die = async () => {
    await client.close();
    await streams.close();
  };
  t.after(die);
  return { streams, client, die };
}

/** The claim is there, and whoever made it knows: Redis answered that one first, on a connection that may be read a little later. */
export async function untilClaimed(isThere: () => Promise<boolean>): Promise<void> {
  await until(isThere, 'the claim');
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
}

/** The same, by the key that it stands under. */
export function claimed(
  redis: { call(command: string, ...args: string[]): Promise<unknown> },
  key: string,
): Promise<void> {
  return untilClaimed(async () => (await redis.call('EXISTS', key)) === 1);
}

/** As soon as there is something to be read: what is written elsewhere takes its moment. */
export async function openSoon(
  streams: StreamLogs,
  id: string,
  after = 0,
  room = Number.POSITIVE_INFINITY,
): Promise<Reader> {
  const found = await until(async () => {
    const one = await streams.read('acme', id, after);
    return one === 'unknown' || 'kind' in one ? null : one;
  }, `the stream ${id}`);
  return new Reader(found, room);
}
