import pino from 'pino';
import { copyBytes, isOwn } from '../core/own-bytes.ts';

/** Lines are gathered up to this before they are written: one system call for many. Characters. */
const GATHER = 32 * 1024;
/** And written after this long in any case. Milliseconds. */
const FLUSH_EVERY = 100;
/** If whoever reads them is too slow, so much is kept; what comes then is lost. Bytes. */
const KEEP = 16 * 1024 * 1024;

/** Standard output, as the log writes to it: nobody waits for it, and whoever reads it may go at any time. */
export class LogOutput {
  readonly #destination = openDestination();
  /** Many lines are made bytes of at once. */
  #gathered = '';
  /** Whoever read the log has gone, perhaps; requests are still to be served. Then nothing is flushed: the destination would lose count of what it holds. */
  #failing = false;
  /** The destination has been given lines that it has not written yet. */
  #busy = false;
  /** Who waits for that. */
  readonly #waiting: (() => void)[] = [];

  constructor() {
    this.#destination.on('error', () => {
      this.#failing = true;
      this.#settle();
    });
    this.#destination.on('write', () => {
      this.#failing = false;
    });
    this.#destination.on('drain', () => {
      this.#busy = false;
      this.#settle();
    });
    setInterval(() => this.#handOver(), FLUSH_EVERY).unref();
  }

  /** Whole lines that can wait for others. */
  gather(lines: string): void {
    this.#gathered += lines;
    if (this.#gathered.length >= GATHER) this.#handOver();
  }

  /** Whole lines that are to be read soon. */
  write(lines: string): void {
    this.#gathered += lines;
    this.#handOver();
  }

  /** Writes out what is still in memory, and waits for that. */
  flush(): void {
    // It would try without end.
    if (this.#failing) return;
    try {
      this.#handOver();
      this.#destination.flushSync();
    } catch {
      // Not open yet, or closed by the reader: there is nothing more to do at the end.
    }
  }

  /** Nobody reads it any more. */
  giveUp(): void {
    this.#gathered = '';
    this.#failing = true;
  }

  /** Resolves when all lines so far have been written, or cannot be. */
  written(): Promise<void> {
    this.#handOver();
    return this.#busy && !this.#failing
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve();
  }

  #handOver(): void {
    if (this.#gathered === '') return;
    this.#busy = true;
    const bytes = Buffer.from(this.#gathered);
    // It may be kept for long.
    this.#destination.write(isOwn(bytes) ? bytes : copyBytes(bytes));
    this.#gathered = '';
  }

  #settle(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

type Destination = Omit<ReturnType<typeof pino.destination>, 'write'> & { write(bytes: Buffer): boolean };

/** It takes bytes, which its types do not know of. */
function openDestination(): Destination {
  const options = { dest: 1, sync: false, maxLength: KEEP, contentMode: 'buffer' };
  return pino.destination(options) as unknown as Destination;
}
