import type { ServerResponse } from 'node:http';
import type { ResponseStream } from '../pipeline/exchange.ts';

/** What came from the upstream in one read goes to the client in one write: each costs a system call and three small ones besides. */
export class BatchedStream implements ResponseStream {
  readonly #response: ServerResponse;
  readonly #told: { ended(): void; backlog(): void };
  readonly #flushNow = () => this.#flush();
  #batch: Buffer[] = [];

  /** `backlog`: bytes are waiting for the client to take them. */
  constructor(response: ServerResponse, told: { ended(): void; backlog(): void }) {
    this.#response = response;
    this.#told = told;
  }

  write(bytes: Buffer): boolean {
    if (this.#response.destroyed) return true;
    if (this.#batch.push(bytes) === 1) process.nextTick(this.#flushNow);
    return !this.#response.writableNeedDrain;
  }

  end(): void {
    const rest = this.#take();
    this.#told.ended();
    if (rest === null) this.#response.end();
    else this.#response.end(rest);
    if (this.#response.writableLength > 0) this.#told.backlog();
  }

  #flush(): void {
    const bytes = this.#take();
    if (bytes !== null && !this.#response.destroyed && !this.#response.write(bytes)) this.#told.backlog();
  }

  #take(): Buffer | null {
    const batch = this.#batch;
    if (batch.length === 0) return null;
    this.#batch = [];
    return batch.length === 1 ? (batch[0] as Buffer) : Buffer.concat(batch);
  }
}
