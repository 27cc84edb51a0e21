import type { ServerResponse } from 'node:http';
import type { ResponseStream } from '../pipeline/exchange.ts';

/** From here on, what waits for a client to take it is enough: no more is asked of the upstream. Bytes. */
const ENOUGH = 64 * 1024;

/** What becomes of what was written. */
export interface StreamTold {
  ended(): void;
  /** Bytes are waiting for the client to take them. */
  backlog(): void;
  /** After a `write` that gave false: there is room again, though nothing had to wait for the client. */
  room(): void;
}

/**
 * What came from the upstream in one read goes to the client in one write: each costs a system call and three small ones besides. For one that
 * is slow, no more is kept than `ENOUGH` and what a single event, or a single read, goes beyond that.
 */
export class BatchedStream implements ResponseStream {
  readonly #response: ServerResponse;
  readonly #told: StreamTold;
  static readonly #flushNow = (stream: BatchedStream) => stream.#flush();
  #batch: Buffer[] = [];
  #batched = 0;
  /** The writer has been told to wait. */
  #full = false;
  #begun = false;

  constructor(response: ServerResponse, told: StreamTold) {
    this.#response = response;
    this.#told = told;
  }

  write(bytes: Buffer): boolean {
    const response = this.#response;
    if (response.destroyed) return true;
    if (this.#batch.push(bytes) === 1) process.nextTick(BatchedStream.#flushNow, this);
    this.#batched += bytes.length;
    this.#full = response.writableNeedDrain || response.writableLength + this.#batched >= ENOUGH;
    return !this.#full;
  }

  end(): void {
    const rest = this.#take();
    this.#told.ended();
    if (rest === null) this.#response.end();
    else this.#response.end(rest);
    if (this.#response.writableLength > 0) this.#told.backlog();
  }

  #flush(): void {
    const response = this.#response;
    const bytes = this.#take();
    if (bytes === null || response.destroyed) return;
    const { socket } = response;
    // By itself Node would gather what is written in this tick, and there is nothing more.
    socket?.cork();
    if (!this.#begun) {
      this.#begun = true;
      // Node keeps them as long as the stream: written by themselves they are one string then, not the fifty that they were put together from.
      response.flushHeaders();
    }
    const taken = response.write(bytes);
    socket?.uncork();
    if (!taken) this.#told.backlog();
    else if (this.#full) {
      this.#full = false;
      this.#told.room();
    }
  }

  #take(): Buffer | null {
    const batch = this.#batch;
    const size = this.#batched;
    if (batch.length === 0) return null;
    this.#batch = [];
    this.#batched = 0;
    // It will have to wait behind other bytes: alone, so that nothing else is kept in memory with it.
    if (this.#response.writableLength > 0) return inOwnMemory(batch, size);
    return batch.length === 1 ? (batch[0] as Buffer) : Buffer.concat(batch, size);
  }
}

/** A view keeps all of the memory that it looks into: of a read of 64 KiB and more, or of Node's pool for small buffers. */
function inOwnMemory(batch: readonly Buffer[], size: number): Buffer {
  const [first] = batch;
  if (batch.length === 1 && first?.buffer.byteLength === size) return first;
  const own = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const bytes of batch) at += bytes.copy(own, at);
  return own;
}
