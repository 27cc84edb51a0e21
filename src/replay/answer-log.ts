import { copyBytes, isOwn } from '../core/own-bytes.ts';

/** Pieces are copied into blocks: a piece of its own would keep the slab in memory that it was cut from. A quarter of what there is, within these. Bytes. */
const LEAST_BLOCK = 4 * 1024;
const MOST_BLOCK = 64 * 1024;

/** A piece from here on is kept as it is where it has its memory to itself. Bytes. */
const LARGE = 4 * 1024;

/** Who reads an answer while it comes. */
export interface LogSink {
  /** False: no more for now; `resume` of its reading goes on. */
  write(bytes: Buffer): boolean;
  /** That was all. */
  end(): void;
  /** There is more, but it will not get it: it was too slow, or the answer broke off without a word. Called in place of `end`. */
  lost(): void;
}

/** Memory for answers that many logs share. */
export class Room {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  get left(): number {
    return this.#left;
  }

  /** False: there is not so much. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

export interface LogOptions {
  /** An answer up to this is kept from its beginning; of a longer one, so much behind the end. Bytes. */
  most: number;
  room: Room;
  /** `append` said to wait, and the wait is over. */
  onReady(): void;
}

/** Pieces that follow each other. Never changed but at its end, so that what was read of it stays as it was. */
class Block {
  bytes: Buffer;
  /** How many came before it, and how many with it. Bytes of the answer. */
  readonly start: number;
  end: number;

  constructor(bytes: Buffer, start: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = start;
  }

  get length(): number {
    return this.end - this.start;
  }

  /** What is not used yet. Bytes. */
  get left(): number {
    return this.bytes.length - this.length;
  }

  /** All from this place of the answer on. */
  from(offset: number): Buffer {
    return this.bytes.subarray(offset - this.start, this.length);
  }
}

/**
 * One answer as it comes, and any number of readers, each at its own pace. Whoever writes is told to wait only when no reader can take more,
 * or when the one that may hold up all others is too far behind. What memory it takes, whoever reads however slowly: `most`, and
 * as much as a quarter more for the block that is being filled.
 */
export class AnswerLog {
  readonly #most: number;
  readonly #room: Room;
  readonly #onReady: () => void;
  readonly #readings = new Set<LogReading>();
  #blocks: Block[] = [];
  /** How many came before the first of `#blocks`, and are not kept any more. */
  #dropped = 0;
  #length = 0;
  /** Taken of the room: all that has come, while that is kept from its beginning. */
  #taken = 0;
  #isWhole = true;
  #over = false;
  #freed = false;
  #writerWaits = false;

  constructor({ most, room, onReady }: LogOptions) {
    this.#most = most;
    this.#room = room;
    this.#onReady = onReady;
  }

  /** Has nothing been forgotten of it? Else it is too late to begin to read. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** False: wait until `onReady`. */
  append(bytes: Buffer): boolean {
    if (this.#over || bytes.length === 0) return true;
    const length = this.#length + bytes.length;
    if (this.#isWhole) {
      if (length > this.#most || !this.#room.take(bytes.length)) this.#forgetBeginning();
      else this.#taken += bytes.length;
    }
    // Of what nobody reads, and nobody can begin to read, nothing is kept.
    if (this.#isWhole || this.#readings.size > 0) this.#keep(bytes);
    this.#length = length;
    for (const reading of this.#readings) reading.pump();
    if (!this.#isWhole) this.#trim();
    this.#writerWaits = !this.#flows();
    return !this.#writerWaits;
  }

  /** The answer is over; readers are told when they have come to its end. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const reading of this.#readings) reading.pump();
  }

  /** It breaks off here, without an end. What readers have not read, they do not get. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#forgetBeginning();
    for (const reading of this.#readings) reading.lose();
  }

  /**
   * A new reader, from the beginning; null if that is gone. It is given nothing before its `start`. `mayHoldUp`: it is never lost; where
   * it is too slow, the writer waits.
   */
  read(mayHoldUp: boolean): LogReading | null {
    if (!this.#isWhole) return null;
    const reading = new LogReading(
      {
        next: (one) => this.#next(one),
        isOver: () => this.#over,
        length: () => this.#length,
        left: (one) => this.#left(one),
        moved: () => this.#moved(),
      },
      mayHoldUp,
    );
    this.#readings.add(reading);
    return reading;
  }

  /** All of it; null if it has not come to its end, or is not kept from its beginning. A copy. */
  bytes(): Buffer | null {
    if (!this.#over || !this.#isWhole) return null;
    const all = Buffer.allocUnsafeSlow(this.#length);
    for (const { bytes, start, length } of this.#blocks) bytes.copy(all, start, 0, length);
    return all;
  }

  /** Nobody will begin to read it any more, or ask for all of it. Those who still read it may do so to its end. */
  free(): void {
    this.#freed = true;
    if (this.#readings.size === 0) this.#forgetAll();
  }

  #left(reading: LogReading): void {
    this.#readings.delete(reading);
    if (this.#freed && this.#readings.size === 0) this.#forgetAll();
    this.#moved();
  }

  /** A reader has gone on, or away. */
  #moved(): void {
    if (!this.#writerWaits || !this.#flows()) return;
    this.#writerWaits = false;
    this.#onReady();
  }

  #flows(): boolean {
    if (this.#readings.size === 0) return true;
    let isTakenByOne = false;
    for (const reading of this.#readings) {
      if (!reading.isSlow) isTakenByOne = true;
      else if (reading.mayHoldUp && this.#length - reading.offset > this.#most) return false;
    }
    return isTakenByOne;
  }

  /** A piece is never cut in two: something else may be said to a reader between two writes. */
  #keep(bytes: Buffer): void {
    const isKeptAsIs = bytes.length >= LARGE && isOwn(bytes);
    let tail = this.#blocks.at(-1);
    if (tail === undefined || isKeptAsIs || tail.left < bytes.length) {
      if (tail !== undefined && tail.left > tail.length / 8) tail.bytes = copyBytes(tail.from(tail.start));
      tail = new Block(
        isKeptAsIs ? bytes : Buffer.allocUnsafeSlow(this.#sizeFor(bytes.length)),
        this.#length,
      );
      this.#blocks.push(tail);
    }
    if (!isKeptAsIs) bytes.copy(tail.bytes, tail.length);
    tail.end += bytes.length;
  }

  /** Of a new block: full of pieces as long as this one. */
  #sizeFor(length: number): number {
    const size = Math.min(MOST_BLOCK, Math.max(LEAST_BLOCK, Math.trunc(this.#length / 4)));
    return length < size ? size - (size % length) : length;
  }

  /** What comes next for a reader, as much as lies together; null if it has not come yet. */
  #next(reading: LogReading): Buffer | null {
    let block = this.#blocks[reading.next - this.#dropped];
    if (block === undefined) return null;
    if (reading.offset === block.end) {
      // It may grow as long as it is the last one.
      block = this.#blocks[reading.next + 1 - this.#dropped];
      if (block === undefined) return null;
      reading.next++;
    }
    return block.from(reading.offset);
  }

  #forgetBeginning(): void {
    this.#isWhole = false;
    this.#room.give(this.#taken);
    this.#taken = 0;
  }

  #forgetAll(): void {
    this.#forgetBeginning();
    this.#blocks = [];
  }

  /** Drops what all have read, and those readers that are too far behind. */
  #trim(): void {
    let first = this.#dropped + this.#blocks.length;
    for (const reading of this.#readings) {
      if (!reading.mayHoldUp && this.#length - reading.offset > this.#most) reading.lose();
      else first = Math.min(first, reading.next);
    }
    if (first === this.#dropped) return;
    this.#blocks.splice(0, first - this.#dropped);
    this.#dropped = first;
  }
}

interface LogOwner {
  /** Null: it has not come yet. */
  next(reading: LogReading): Buffer | null;
  isOver(): boolean;
  /** Of all that has come. Bytes. */
  length(): number;
  left(reading: LogReading): void;
  moved(): void;
}

/** One reader's place in a log. */
export class LogReading {
  readonly mayHoldUp: boolean;
  /** For the log: the block that it stands in, counted from the first there was; and how many bytes of the answer it has read. */
  next = 0;
  offset = 0;
  readonly #owner: LogOwner;
  #sink: LogSink | null = null;
  #isSlow = true;
  #state: 'open' | 'lost' | 'over' = 'open';

  constructor(owner: LogOwner, mayHoldUp: boolean) {
    this.#owner = owner;
    this.mayHoldUp = mayHoldUp;
  }

  /** It takes no more for now. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** From now on it is given what there is, and what comes. Once. */
  start(sink: LogSink): void {
    if (this.#state === 'over') return;
    this.#sink = sink;
    if (this.#state === 'lost') sink.lost();
    else this.resume();
  }

  /** The sink takes more again. */
  resume(): void {
    if (this.#state !== 'open' || this.#sink === null) return;
    this.#isSlow = false;
    this.pump();
    if (!this.#isSlow) this.#owner.moved();
  }

  /** It wants no more; nothing is called after this. */
  stop(): void {
    if (this.#state === 'over') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'over';
    if (wasOpen) this.#owner.left(this);
  }

  /** For the log: hands on what there is. */
  pump(): void {
    if (this.#sink === null) return;
    while (this.#state === 'open' && !this.#isSlow) {
      const piece = this.#owner.next(this);
      if (piece === null) break;
      this.offset += piece.length;
      if (!this.#sink.write(piece)) this.#isSlow = true;
    }
    // All has been written, whether or not the sink has got rid of it.
    if (this.#state === 'open' && this.#owner.isOver() && this.offset === this.#owner.length()) {
      this.stop();
      this.#sink.end();
    }
  }

  /** For the log: it goes on without this reader. */
  lose(): void {
    this.#state = 'lost';
    this.#owner.left(this);
    this.#sink?.lost();
  }
}
