import type { WireHeaders } from '../providers/retry-after.ts';
import { MAX_ANSWER, unpackBody } from './decompress.ts';

/** Of an error's body, as much as anyone needs to read. Bytes. */
const MAX_ERROR_BODY = 1024 * 1024;

/** A plain answer or an error, whose body is collected as it comes. */
export class CollectedAnswer {
  readonly status: number;
  readonly headers: WireHeaders;
  #parts: Buffer[] | null = null;
  #bytes = 0;

  constructor(status: number, headers: WireHeaders) {
    this.status = status;
    this.headers = headers;
  }

  get isError(): boolean {
    return this.status >= 300;
  }

  /** False: that is more than is taken of such an answer. */
  add(chunk: Buffer): boolean {
    // Nearly always the only one: an array that is added to makes room for many.
    if (this.#parts === null) this.#parts = [chunk];
    else this.#parts.push(chunk);
    this.#bytes += chunk.length;
    return this.#bytes <= (this.isError ? MAX_ERROR_BODY : MAX_ANSWER);
  }

  /** The body, unpacked; null: that is not possible. It is not kept. */
  take(): Buffer | null | Promise<Buffer | null> {
    const parts = this.#parts ?? [];
    this.#parts = null;
    return unpackBody(this.headers, parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
  }
}
