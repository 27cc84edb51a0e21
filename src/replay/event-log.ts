import { copyBytes } from '../core/own-bytes.ts';
import { eventsAfter } from './number-events.ts';
import type { Dropped, Reading, ReadingEnd, ReadingSink } from './stream-log.ts';

/** Events are kept in blocks of this size: a token's own would be mostly overhead. Bytes. */
const BLOCK = 16 * 1024;

/** Of a block, so much may be left empty where the next event does not fit in. Bytes. */
const MOST_WASTED = 1024;

/** Events that follow each other. Never changed but at its end, so that what was read of it stays as it was. */
class Block {
  bytes: Buffer;
  length = 0;
  readonly first: number;
  last: number;
  next: Block | null = null;
  dropped = false;

  constructor(size: number, first: number) {
    // Not of a slab: that would stay as long as anything that was cut from it.
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.first = first;
    this.last = first - 1;
  }
}

/** Hears of what becomes of a log. */
export interface LogFollower {
  /** There is more, or it is over. */
  moved(): void;
}

/** The events of one stream, in memory: the latest of them, if they are many. */
export class EventLog {
  /** The number of the last event. */
  last = 0;
  /** How it ended; null: it is under way. */
  ended: 'over' | 'removed' | null = null;
  /** Bytes of all events so far, kept or not. */
  written = 0;
  readonly #most: number;
  readonly #resized: (by: number) => void;
  readonly #followers = new Set<LogFollower>();
  #head: Block | null = null;
  #tail: Block | null = null;
  #size = 0;

  /** `most`: bytes. `resized`: told by how many bytes it takes more, or less. */
  constructor(most: number, resized: (by: number) => void = () => {}) {
    this.#most = most;
    this.#resized = resized;
  }

  /** Memory taken. Bytes. */
  get size(): number {
    return this.#size;
  }

  /** The number of the first event that is kept, or of the next one if none is. */
  get first(): number {
    return this.#head?.first ?? this.last + 1;
  }

  append(events: Buffer, count: number): void {
    if (this.ended !== null || count === 0) return;
    if (events.length > this.#most) this.#dropAll();
    else {
      const block = this.#blockFor(events.length);
      events.copy(block.bytes, block.length);
      block.length += events.length;
      block.last += count;
    }
    this.last += count;
    this.written += events.length;
    while (this.#size > this.#most && this.#head !== this.#tail) this.dropOldest();
    this.#tell();
  }

  end(how: 'over' | 'removed'): void {
    if (this.ended === how || this.ended === 'removed') return;
    this.ended = how;
    if (how === 'removed') this.#dropAll();
    else this.#shrink(0);
    this.#tell();
  }

  /** Lets go of all that it holds. Who has not read it yet is told so. */
  clear(): void {
    this.#dropAll();
    this.#tell();
  }

  /** Lets go of the oldest of its blocks. */
  dropOldest(): void {
    const block = this.#head;
    if (block === null) return;
    block.dropped = true;
    this.#head = block.next;
    // Who stands on it is not to hold what came after it, which may be dropped next.
    block.next = null;
    if (this.#head === null) this.#tail = null;
    this.#resize(-block.bytes.length);
  }

  follow(follower: LogFollower): void {
    this.#followers.add(follower);
  }

  unfollow(follower: LogFollower): void {
    this.#followers.delete(follower);
  }

  /** The block with this event, if it is kept. */
  find(event: number): Block | null {
    let block = this.#head;
    while (block !== null && block.last < event) block = block.next;
    return block;
  }

  #blockFor(length: number): Block {
    const tail = this.#tail;
    if (tail !== null && tail.length + length <= tail.bytes.length) return tail;
    this.#shrink(MOST_WASTED);
    // Full of events as long as this one.
    const size = length < BLOCK ? BLOCK - (BLOCK % length) : length;
    const block = new Block(size, this.last + 1);
    if (tail === null) this.#head = block;
    else tail.next = block;
    this.#tail = block;
    this.#resize(block.bytes.length);
    return block;
  }

  /** Gives back what the last block has not used, if it is more than this. Bytes. */
  #shrink(most: number): void {
    const tail = this.#tail;
    if (tail === null || tail.bytes.length - tail.length <= most) return;
    const before = tail.bytes.length;
    tail.bytes = copyBytes(tail.bytes.subarray(0, tail.length));
    this.#resize(tail.length - before);
  }

  #dropAll(): void {
    while (this.#head !== null) this.dropOldest();
  }

  #resize(by: number): void {
    this.#size += by;
    this.#resized(by);
  }

  #tell(): void {
    for (const follower of this.#followers) follower.moved();
  }
}

/** A place in a log. */
export class LogCursor {
  /** The number of the last event that was taken. */
  after: number;
  readonly #log: EventLog;
  /** Null: it is to be found anew. */
  #block: Block | null = null;
  #offset = 0;

  constructor(log: EventLog, after: number) {
    this.#log = log;
    this.after = after;
  }

  /** The next event is not kept any more. */
  get isBehind(): boolean {
    return this.after + 1 < this.#log.first;
  }

  get isAtEnd(): boolean {
    return this.after >= this.#log.last;
  }

  moveTo(after: number): void {
    this.after = after;
    this.#block = null;
  }

  /** Whole events, a block at most; null where none is there, or none that comes next. */
  next(): Buffer | null {
    if (this.isAtEnd || this.isBehind) return null;
    let block = this.#block;
    if (block === null || block.dropped) {
      block = this.#log.find(this.after + 1);
      if (block === null) return null;
      const there = block.bytes.subarray(0, block.length);
      this.#offset = block.length - eventsAfter(there, this.after).length;
    } else if (this.#offset === block.length) {
      block = block.next;
      if (block === null) return null;
      this.#offset = 0;
    }
    this.#block = block;
    const bytes = block.bytes.subarray(this.#offset, block.length);
    this.#offset = block.length;
    this.after = block.last;
    return bytes;
  }
}

/** Reads a log from where it stands in the same memory. What a slow reader has not taken yet waits in the log, not with the reader. */
class MemoryReading implements Reading, LogFollower {
  readonly dialect: string;
  readonly #log: EventLog;
  readonly #cursor: LogCursor;
  #sink: ReadingSink | null = null;
  #ready = true;

  constructor(log: EventLog, dialect: string, after: number) {
    this.#log = log;
    this.dialect = dialect;
    this.#cursor = new LogCursor(log, after);
  }

  flow(sink: ReadingSink): void {
    this.#sink = sink;
    this.#log.follow(this);
    this.moved();
  }

  resume(): void {
    this.#ready = true;
    this.moved();
  }

  close(): void {
    this.#sink = null;
    this.#log.unfollow(this);
  }

  moved(): void {
    while (this.#ready && this.#sink !== null) {
      const bytes = this.#cursor.next();
      if (bytes === null) break;
      this.#ready = this.#sink.write(bytes);
    }
    // How it ends is told without waiting for a slow reader, but not before all that there is.
    if (this.#log.ended === 'removed') this.#end('removed');
    else if (this.#cursor.isBehind) this.#end('behind');
    else if (this.#log.ended === 'over' && this.#cursor.isAtEnd) this.#end('over');
  }

  #end(how: ReadingEnd): void {
    const sink = this.#sink;
    this.close();
    sink?.end(how);
  }
}

/** Reads from after this event, or says that it is too late for that. */
export function readLog(log: EventLog, dialect: string, after: number): Reading | Dropped {
  return after + 1 < log.first
    ? { kind: 'dropped', first: log.first }
    : new MemoryReading(log, dialect, after);
}
