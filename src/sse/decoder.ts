/** Receives what a decoder finds, in the order of the stream. */
export interface SseSink {
  /**
   * A whole event. `data`: its data lines joined by line feeds. `type`: its event field, or ''.
   *
   * `raw`: its bytes up to and including the blank line, if they are exactly `data: `, `data` and two line feeds, in valid
   * UTF-8, so that they can be passed on as they are; else null. It may be a view of the chunk that was pushed: whoever keeps it keeps the chunk.
   */
  event(data: string, type: string, raw: Buffer | null): void;
  /**
   * Asked before `event` where an event begins with `data: `, of which more or less than all may be at hand. Gives where it ends, after its blank
   * line, if it has been taken as the bytes that it is; else 0.
   */
  take?(bytes: Buffer, start: number): number;
  /** A comment line: a sign of life without content. */
  comment?(): void;
}

/** One event, or one line, is larger than the decoder was told to accept. */
export class SseOverflowError extends Error {
  readonly limit: number;

  constructor(limit: number) {
    super(`a server-sent event is larger than ${limit} bytes`);
    this.name = 'SseOverflowError';
    this.limit = limit;
  }
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const DATA = Buffer.from('data');
const EVENT = Buffer.from('event');
const PLAIN_PREFIX = Buffer.from('data: ');
const EMPTY = Buffer.alloc(0);
/** Bytes: most events of a chat stream are shorter. */
const LEAST_CARRY = 512;

/**
 * Turns the bytes of an event stream (WHATWG HTML, 9.2.6) into events, however the network cut them. The fields `id` and `retry`
 * are read over: a relay never reconnects.
 *
 * Written for streams of `data: {...}` and a blank line in chunks of whole events: these are sliced, not copied, and
 * only what a chunk leaves unfinished is carried over.
 */
export class SseDecoder {
  readonly #sink: SseSink;
  readonly #limit: number;
  #stopped = false;

  // The event under way, but for the line under way.
  /** Has it a line yet, other than comments? */
  #begun = false;
  /** Bytes of these lines, without their ends. */
  #size = 0;
  #data: string | null = null;
  #type = '';

  /** Does the next chunk not start at the start of a line? True before the first one, which may begin with a byte order mark. */
  #resuming = true;
  /** Bytes of the byte order mark seen so far; -1 once there is nothing more to look for. */
  #markSeen = 0;
  /** The last byte was a CR: an LF now is the rest of that line's end. */
  #skipLf = false;
  /**
   * The first #carried bytes: the line under way, which has no line end in it. Or a whole `data: ` line that began an event, with
   * its LF, of which the next byte tells whether it was all of the event.
   */
  #carry: Buffer | null = null;
  #carried = 0;

  /** `maxEventBytes` bounds what the decoder may have to hold: the lines of one event together, and each comment, without line ends. Throws a RangeError unless it is a whole number of 1 or more. */
  constructor(sink: SseSink, maxEventBytes: number) {
    if (!(Number.isInteger(maxEventBytes) && maxEventBytes >= 1)) {
      throw new RangeError(`maxEventBytes must be a whole number of 1 or more, got ${maxEventBytes}`);
    }
    this.#sink = sink;
    this.#limit = maxEventBytes;
  }

  /** Decodes a chunk, calling the sink on the way. Throws SseOverflowError, or what the sink throws; the decoder has then stopped. */
  push(chunk: Buffer): void {
    if (this.#stopped) return;
    try {
      this.#read(chunk, this.#resuming ? this.#resume(chunk) : 0);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /**
   * The stream is over. An event whose blank line is missing, and a last line without an end, are delivered as if they had
   * them (the standard would drop both): `data: [DONE]` often comes so, and of data that was cut short the sink can tell
   * that it is not valid JSON. True if anything was left unfinished. Throws what the sink throws.
   */
  end(): boolean {
    if (this.#stopped) return false;
    const unfinished = this.#begun || this.#carried > 0 || this.#markSeen > 0;
    if (this.#carried > 0) this.#lineFromCarry();
    this.#blankLine();
    this.stop();
    return unfinished;
  }

  /** From now on, nothing more reaches the sink. The sink itself may call it in the middle of a chunk. */
  stop(): void {
    this.#stopped = true;
    this.#carry = null;
    this.#carried = 0;
    this.#data = null;
  }

  /** Reads lines from `start`, which is the start of one, and carries over what the chunk leaves unfinished. */
  #read(chunk: Buffer, start: number): void {
    const length = chunk.length;
    let position = start;
    // Looked for again only once passed: a chunk with one kind of line end would else be searched to its end for the other
    // at every line.
    let lf = -1;
    let cr = -1;
    while (position < length && !this.#stopped) {
      const plain = !this.#begun && startsPlain(chunk, position);
      const end = plain ? (this.#sink.take?.(chunk, position) ?? 0) : 0;
      if (end > 0) {
        position = end;
        continue;
      }
      if (lf < position) lf = indexOrEnd(chunk, LF, position);
      if (cr < position) cr = indexOrEnd(chunk, CR, position);
      if (lf < cr) {
        if (plain && lf + 1 === length) break;
        if (plain && chunk[lf + 1] === LF) {
          this.#plainEvent(chunk, position, lf);
          position = lf + 2;
        } else {
          this.#line(chunk, position, lf);
          position = lf + 1;
        }
      } else if (cr < length) {
        this.#line(chunk, position, cr);
        position = this.#passCr(chunk, cr);
      } else {
        break;
      }
    }
    if (position >= length || this.#stopped) return;
    this.#checkSize(chunk[position], lf - position);
    this.#keep(chunk, position, length);
  }

  /** Finishes what the chunk before left unfinished. Gives the start of the first line that is wholly in this chunk. */
  #resume(chunk: Buffer): number {
    const start = this.#markSeen >= 0 ? this.#passMark(chunk) : 0;
    if (start === chunk.length) return start;
    this.#resuming = false;
    if (this.#skipLf) {
      this.#skipLf = false;
      return chunk[0] === LF ? 1 : 0;
    }
    if (this.#carry === null) return start;
    return this.#carry[this.#carried - 1] === LF
      ? this.#resumeAfterLf(chunk)
      : this.#resumeLine(chunk, start);
  }

  /** A whole `data: ` line was carried over: a blank line now makes it a plain event. */
  #resumeAfterLf(chunk: Buffer): number {
    if (chunk[0] !== LF) {
      this.#lineFromCarry();
      return 0;
    }
    this.#keep(chunk, 0, 1);
    this.#plainFromCarry();
    return 1;
  }

  /** Part of a line was carried over. */
  #resumeLine(chunk: Buffer, start: number): number {
    const lf = indexOrEnd(chunk, LF, start);
    const cr = indexOrEnd(chunk, CR, start);
    const end = Math.min(lf, cr);
    this.#checkSize(this.#carry?.[0], this.#carried + end - start);
    this.#keep(chunk, start, end);
    if (end === chunk.length) return end;
    if (end === cr) {
      this.#lineFromCarry();
      return this.#passCr(chunk, cr);
    }
    const plain = !this.#begun && this.#carriesPlain();
    if (plain && lf + 1 === chunk.length) {
      this.#keep(chunk, lf, lf + 1);
      return lf + 1;
    }
    if (plain && chunk[lf + 1] === LF) {
      this.#keep(chunk, lf, lf + 2);
      this.#plainFromCarry();
      return lf + 2;
    }
    this.#lineFromCarry();
    return lf + 1;
  }

  /** Gives the start of the line after the CR at `cr`. */
  #passCr(chunk: Buffer, cr: number): number {
    if (cr + 1 < chunk.length) return chunk[cr + 1] === LF ? cr + 2 : cr + 1;
    this.#skipLf = true;
    this.#resuming = true;
    return cr + 1;
  }

  /** Passes over a byte order mark. What only began like one is carried over: it is the beginning of a line. */
  #passMark(chunk: Buffer): number {
    for (let position = 0; position < chunk.length; position++) {
      if (chunk[position] !== BYTE_ORDER_MARK[this.#markSeen]) {
        this.#keep(BYTE_ORDER_MARK, 0, this.#markSeen);
        this.#markSeen = -1;
        return position;
      }
      this.#markSeen += 1;
      if (this.#markSeen === BYTE_ORDER_MARK.length) {
        this.#markSeen = -1;
        return position + 1;
      }
    }
    return chunk.length;
  }

  /** Adds bytes to the carry. Its room doubles, so that a line which comes byte by byte is copied about twice in all. */
  #keep(from: Buffer, start: number, end: number): void {
    if (start === end) return;
    const needed = this.#carried + end - start;
    if (this.#carry === null || needed > this.#carry.length) {
      const roomier = Buffer.allocUnsafe(Math.max(LEAST_CARRY, 2 * needed));
      this.#carry?.copy(roomier, 0, 0, this.#carried);
      this.#carry = roomier;
    }
    from.copy(this.#carry, this.#carried, start, end);
    this.#carried = needed;
    this.#resuming = true;
  }

  /** The memory goes with the bytes: a sink may hold on to them. */
  #takeCarry(): Buffer {
    const bytes = this.#carry?.subarray(0, this.#carried) ?? EMPTY;
    this.#carry = null;
    this.#carried = 0;
    return bytes;
  }

  #carriesPlain(): boolean {
    // What lies in the carry's memory after the bytes carried over is no part of the line.
    return this.#carry !== null && this.#carried >= PLAIN_PREFIX.length && startsPlain(this.#carry, 0);
  }

  #plainFromCarry(): void {
    const bytes = this.#takeCarry();
    this.#plainEvent(bytes, 0, bytes.length - 2);
  }

  #lineFromCarry(): void {
    const bytes = this.#takeCarry();
    this.#line(bytes, 0, bytes[bytes.length - 1] === LF ? bytes.length - 1 : bytes.length);
  }

  /** `data: ` at `start`, no line end before the two LFs at `lf`. */
  #plainEvent(bytes: Buffer, start: number, lf: number): void {
    this.#checkSize(undefined, lf - start);
    const from = start + PLAIN_PREFIX.length;
    const data = bytes.toString('utf8', from, lf);
    const end = lf + 2;
    // Clients decode strictly and fail on bytes that are not UTF-8, which are U+FFFD by now.
    const valid = !data.includes('\uFFFD');
    this.#sink.event(
      data,
      '',
      valid ? (start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)) : null,
    );
  }

  /** One line, without its end. */
  #line(bytes: Buffer, start: number, end: number): void {
    if (start === end) {
      this.#blankLine();
      return;
    }
    this.#checkSize(bytes[start], end - start);
    if (bytes[start] === COLON) {
      this.#sink.comment?.();
      return;
    }
    this.#begun = true;
    this.#size += end - start;
    const data = valueStart(bytes, start, end, DATA);
    if (data >= 0) {
      const value = bytes.toString('utf8', data, end);
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
      return;
    }
    const type = valueStart(bytes, start, end, EVENT);
    if (type >= 0) this.#type = bytes.toString('utf8', type, end);
  }

  /** The end of an event. One without a data line is none. */
  #blankLine(): void {
    const data = this.#data;
    const type = this.#type;
    this.#begun = false;
    this.#size = 0;
    this.#data = null;
    this.#type = '';
    if (data !== null) this.#sink.event(data, type, null);
  }

  /** Checks a line of `bytes` bytes that starts with `first`. Comments are no part of an event, or heartbeats would add up. */
  #checkSize(first: number | undefined, bytes: number): void {
    if (bytes + (first === COLON ? 0 : this.#size) > this.#limit) throw new SseOverflowError(this.#limit);
  }
}

/** Where `byte` comes next, or the length of the chunk. */
function indexOrEnd(chunk: Buffer, byte: number, from: number): number {
  const index = chunk.indexOf(byte, from);
  return index === -1 ? chunk.length : index;
}

function startsPlain(bytes: Buffer, start: number): boolean {
  return startsWith(bytes, start, PLAIN_PREFIX);
}

/** Where the value of the field `name` starts in this line; -1 if it is a line of another field. */
function valueStart(bytes: Buffer, start: number, end: number, name: Buffer): number {
  const colon = start + name.length;
  if (colon > end || !startsWith(bytes, start, name)) return -1;
  if (colon === end) return end;
  if (bytes[colon] !== COLON) return -1;
  return bytes[colon + 1] === SPACE ? colon + 2 : colon + 1;
}

function startsWith(bytes: Buffer, start: number, prefix: Buffer): boolean {
  for (let i = 0; i < prefix.length; i++) {
    if (bytes[start + i] !== prefix[i]) return false;
  }
  return true;
}
