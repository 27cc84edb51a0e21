import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Present, StreamSink } from './stream-roles.ts';

/** What is kept of a stream that has no reader yet. */
export class HeldBack {
  readonly #bytes: Buffer[] = [];
  /** What is put into the client's words only for the one who reads it. */
  readonly #chunks: JsonObject[] = [];
  /** Of the bytes, all together. */
  size = 0;
  end: { failure: Failure | null } | null = null;

  add(bytes: Buffer): void {
    this.#bytes.push(bytes);
    this.size += bytes.length;
  }

  addChunk(chunk: JsonObject): void {
    this.#chunks.push(chunk);
  }

  /** Gives a reader all of it; false: that is slow. */
  writeTo(sink: StreamSink, present: Present | null): boolean {
    let ready = true;
    for (const bytes of this.#bytes) ready = sink.write(bytes);
    for (const chunk of this.#chunks) {
      const bytes = present?.(chunk) ?? null;
      if (bytes !== null) ready = sink.write(bytes);
    }
    return ready;
  }
}
