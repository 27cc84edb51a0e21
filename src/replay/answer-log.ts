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

/**
 * One answer as it comes, and any number of readers, each at its own pace. Whoever writes is told to wait only when no reader can take more,
 * or when the one that may hold up all others is too far behind. What memory it takes, whoever reads however slowly: `most`, and the piece at hand.
 */
export class AnswerLog {
  readonly #most: number;
  readonly #room: Room;
  readonly #onReady: () => void;
  readonly #readings = new Set<LogReading>();
  #pieces: Buffer[] = [];
  /** How many came before the first of `#pieces`, and are not kept any more. */
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
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    if (this.#isWhole) {
      if (this.#length > this.#most || !this.#room.take(bytes.length)) this.#forgetBeginning();
      else this.#taken += bytes.length;
    }
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
        piece: (index) => this.#pieces[index - this.#dropped] ?? null,
        isOver: () => this.#over,
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
    return this.#over && this.#isWhole ? Buffer.concat(this.#pieces, this.#length) : null;
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

  #forgetBeginning(): void {
    this.#isWhole = false;
    this.#room.give(this.#taken);
    this.#taken = 0;
  }

  #forgetAll(): void {
    this.#forgetBeginning();
    this.#pieces = [];
  }

  /** Drops what all have read, and those readers that are too far behind. */
  #trim(): void {
    let first = this.#dropped + this.#pieces.length;
    for (const reading of this.#readings) {
      if (!reading.mayHoldUp && this.#length - reading.offset > this.#most) reading.lose();
      else first = Math.min(first, reading.next);
    }
    this.#pieces.splice(0, first - this.#dropped);
    this.#dropped = first;
  }
}

interface LogOwner {
  /** Null: it has not come yet. */
  piece(index: number): Buffer | null;
  isOver(): boolean;
  left(reading: LogReading): void;
  moved(): void;
}

/** One reader's place in a log. */
export class LogReading {
  readonly mayHoldUp: boolean;
  /** The piece that comes next, counted from the first there was; and how many bytes came before it. */
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
      const piece = this.#owner.piece(this.next);
      if (piece === null) break;
      this.next++;
      this.offset += piece.length;
      if (!this.#sink.write(piece)) this.#isSlow = true;
    }
    // All has been written, whether or not the sink has got rid of it.
    if (this.#state === 'open' && this.#owner.isOver() && this.#owner.piece(this.next) === null) {
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
