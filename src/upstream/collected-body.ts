import type { WireHeaders } from '../providers/retry-after.ts';
import { MAX_ANSWER, unpackBody } from './decompress.ts';

/** Of an error's body, as much as anyone needs to read. Bytes. */
const MAX_ERROR_BODY = 1024 * 1024;

/** The body of a plain answer or of an error, as it comes. */
export class CollectedBody {
  #parts: Buffer[] = [];
  #bytes = 0;

  /** False: that is more than is taken of an answer with this status. */
  add(chunk: Buffer, status: number): boolean {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    return this.#bytes <= (status >= 300 ? MAX_ERROR_BODY : MAX_ANSWER);
  }

  /** All of it, unpacked; null: that is not possible. Nothing is kept. */
  take(headers: WireHeaders): Buffer | null | Promise<Buffer | null> {
    const parts = this.#parts;
    this.#parts = [];
    return unpackBody(headers, parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
  }
}
