import { isUtf8 } from 'node:buffer';
import type { KeptAnswer } from '../replay/kept-answer.ts';
import type { Exchange, Headers, ResponseStream } from './exchange.ts';
import { headerIn, keptHeaders } from './header-list.ts';
import { WrappedExchange } from './wrapped-exchange.ts';

/** Headers that belong to one exchange and not to its answer: its id, and how quotas stand at the time. */
const OF_THE_EXCHANGE = /^(x-request-id|request-id|retry-after|retry-after-ms|x-ratelimit-.*)$/;

/** An exchange that passes its answer on as it comes and keeps a copy of it, as long as that is not too large. */
export class RecordedExchange extends WrappedExchange {
  readonly #limit: number;
  readonly #runsFrom: number;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};
  #target: string | null = null;
  #streamed = false;
  #copy: Copy | null = null;

  /** `limit`: of the answer's body. Bytes. `runsFrom`: on the clock's monotonic time. */
  constructor(inner: Exchange, limit: number, runsFrom: number) {
    super(inner);
    this.#limit = limit;
    this.#runsFrom = runsFrom;
  }

  /** One that has waited for another request has all of its time before it. */
  override get readAt(): number {
    return this.#runsFrom;
  }

  override send(status: number, headers: Headers, body: Buffer | string): void {
    this.#begin(status, headers, false).add(typeof body === 'string' ? Buffer.from(body) : body);
    super.send(status, headers, body);
  }

  override stream(headers: Headers, onDrain: () => void): ResponseStream {
    const copy = this.#begin(200, headers, true);
    return new RecordedStream(super.stream(headers, onDrain), copy);
  }

  /** Of the answer; 0: there was none. */
  get status(): number {
    return this.#status;
  }

  get streamed(): boolean {
    return this.#streamed;
  }

  /** The answer as far as it has come. Null: there is none, it is too large, or it is no text. */
  answer(): KeptAnswer | null {
    const bytes = this.#copy?.bytes() ?? null;
    if (bytes === null || !isUtf8(bytes)) return null;
    return {
      status: this.#status,
      headers: this.#headers,
      streamed: this.#streamed,
      target: this.#target,
      body: bytes.toString(),
    };
  }

  #begin(status: number, headers: Headers, streamed: boolean): Copy {
    this.#status = status;
    this.#headers = keptHeaders(headers, (name) => !OF_THE_EXCHANGE.test(name));
    this.#target = headerIn(headers, 'x-spillway-target');
    this.#streamed = streamed;
    this.#copy = new Copy(this.#limit);
    return this.#copy;
  }
}

class RecordedStream implements ResponseStream {
  readonly #inner: ResponseStream;
  readonly #copy: Copy;

  constructor(inner: ResponseStream, copy: Copy) {
    this.#inner = inner;
    this.#copy = copy;
  }

  write(bytes: Buffer): boolean {
    this.#copy.add(bytes);
    return this.#inner.write(bytes);
  }

  end(): void {
    this.#inner.end();
  }
}

/** Most streams are not longer. Bytes. */
const FIRST = 4096;

/** A copy that grows up to a bound; what would go beyond that is no copy any more, and takes no memory. */
class Copy {
  readonly #limit: number;
  /** Of its own: pieces of what was read keep all in memory that was read with them. */
  #bytes: Buffer | null = Buffer.alloc(0);
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(piece: Buffer): void {
    if (this.#bytes === null) return;
    const length = this.#length + piece.length;
    if (length > this.#limit) {
      this.#bytes = null;
      return;
    }
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(FIRST, 2 * length)));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    piece.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  bytes(): Buffer | null {
    return this.#bytes?.subarray(0, this.#length) ?? null;
  }
}
