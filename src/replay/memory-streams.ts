import type { Clock, Timer } from '../core/clock.ts';
import { EventLog, readLog } from './event-log.ts';
import {
  type Dropped,
  MOST_OF_A_STREAM,
  MOST_OF_ALL_STREAMS,
  type NewStream,
  type Reading,
  STREAM_LIFE,
  type StreamLog,
  type StreamLogs,
} from './stream-log.ts';

export interface StreamBounds {
  /** Of one stream. Bytes. */
  stream: number;
  /** Of all. Bytes. */
  all: number;
}

const USUAL_BOUNDS: StreamBounds = { stream: MOST_OF_A_STREAM, all: MOST_OF_ALL_STREAMS };

/** What a stream takes besides its events. Bytes, roughly. */
const OVERHEAD = 2048;

/** Streams kept in this process, for it alone; a restart forgets all. Over the bounds, the one that ended first goes first. */
export class MemoryStreams implements StreamLogs {
  readonly #clock: Pick<Clock, 'now' | 'schedule'>;
  readonly #bounds: StreamBounds;
  /** By tenant and id. */
  readonly #streams = new Map<string, MemoryStream>();
  /** In the order in which they ended. */
  readonly #ended = new Set<MemoryStream>();
  #size = 0;
  #timer: Timer | null = null;
  #closed = false;

  constructor(clock: Pick<Clock, 'now' | 'schedule'>, bounds: StreamBounds = USUAL_BOUNDS) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** Memory taken. Bytes. */
  get size(): number {
    return this.#size;
  }

  /** Streams kept, under way or ended. */
  get count(): number {
    return this.#streams.size;
  }

  open(stream: NewStream): MemoryStream {
    const isTaken = this.find(stream.tenant, stream.wanted) !== null;
    const log = new EventLog(this.#bounds.stream, (by) => this.#resized(by));
    const opened = new MemoryStream(this, stream, isTaken ? stream.fresh() : stream.wanted, log);
    this.#streams.set(keyOf(opened.tenant, opened.id), opened);
    this.#resized(OVERHEAD);
    return opened;
  }

  async read(tenant: string, id: string, after: number): Promise<Reading | Dropped | 'unknown'> {
    const found = this.find(tenant, id);
    return found === null ? 'unknown' : readLog(found.log, found.dialect, after);
  }

  async remove(tenant: string, id: string): Promise<boolean> {
    const found = this.find(tenant, id);
    found?.remove();
    return found !== null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stream of this.#streams.values()) this.forget(stream);
  }

  find(tenant: string, id: string): MemoryStream | null {
    return this.#streams.get(keyOf(tenant, id)) ?? null;
  }

  /** Gives one that has not begun another name. */
  rename(stream: MemoryStream, id: string): void {
    const key = keyOf(stream.tenant, stream.id);
    if (this.#streams.get(key) !== stream) return;
    this.#streams.delete(key);
    stream.id = id;
    this.#streams.set(keyOf(stream.tenant, id), stream);
  }

  /** It has ended: from now on it is kept for so long. */
  hasEnded(stream: MemoryStream): void {
    if (this.find(stream.tenant, stream.id) !== stream) return;
    stream.endedAt = this.#clock.now();
    this.#ended.add(stream);
    this.#watch();
  }

  /** As if it had never been. Who reads it keeps what was taken. */
  forget(stream: MemoryStream): void {
    const key = keyOf(stream.tenant, stream.id);
    if (this.#streams.get(key) !== stream) return;
    this.#streams.delete(key);
    this.#ended.delete(stream);
    this.#resized(-OVERHEAD);
    stream.log.clear();
    stream.forgotten();
    this.#watch();
  }

  #resized(by: number): void {
    this.#size += by;
    while (by > 0 && this.#size > this.#bounds.all && this.#dropSomething());
  }

  #dropSomething(): boolean {
    for (const stream of this.#ended) {
      this.forget(stream);
      return true;
    }
    // All that there is is under way: whoever has most loses the oldest of it.
    let largest: EventLog | null = null;
    for (const { log } of this.#streams.values()) if (log.size > (largest?.size ?? 0)) largest = log;
    largest?.dropOldest();
    return largest !== null;
  }

  /** One timer for all: for the one that goes next. */
  #watch(): void {
    const [next] = this.#ended;
    if (next === undefined || this.#closed) {
      this.#timer?.cancel();
      this.#timer = null;
      return;
    }
    const left = next.endedAt + STREAM_LIFE - this.#clock.now();
    this.#timer ??= this.#clock.schedule(Math.max(0, left), () => {
      this.#timer = null;
      const now = this.#clock.now();
      for (const stream of this.#ended) {
        if (stream.endedAt + STREAM_LIFE > now) break;
        this.forget(stream);
      }
      this.#watch();
    });
  }
}

/** Neither has a slash in it. */
function keyOf(tenant: string, id: string): string {
  return `${tenant}/${id}`;
}

/** One stream, as it is kept in this process. */
export class MemoryStream implements StreamLog {
  readonly tenant: string;
  readonly dialect: string;
  readonly log: EventLog;
  /** May change until it begins. */
  id: string;
  /** By the clock's `now`. */
  endedAt = 0;
  /** Called when it is kept no more. */
  forgotten: () => void = () => {};
  readonly #owner: MemoryStreams;
  readonly #removed: () => void;

  constructor(owner: MemoryStreams, { tenant, dialect, removed }: NewStream, id: string, log: EventLog) {
    this.tenant = tenant;
    this.dialect = dialect;
    this.id = id;
    this.log = log;
    this.#owner = owner;
    this.#removed = removed;
  }

  begin(): string {
    return this.id;
  }

  append(events: Buffer, count: number): void {
    this.log.append(events, count);
  }

  end(): void {
    if (this.log.ended !== null) return;
    this.log.end('over');
    this.#owner.hasEnded(this);
  }

  abandon(): void {
    this.log.end('removed');
    this.#owner.forget(this);
  }

  /** Stops whoever writes it. */
  remove(): void {
    const isUnderWay = this.log.ended === null;
    this.abandon();
    if (isUnderWay) this.#removed();
  }
}
