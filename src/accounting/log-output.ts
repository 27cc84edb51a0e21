import { writeSync } from 'node:fs';
import pino from 'pino';
import { copyBytes, isOwn } from '../core/own-bytes.ts';

/** Lines are gathered up to this before they are written: one system call for many. Characters. */
const GATHER = 32 * 1024;
/** And written after this long in any case. Milliseconds. */
const FLUSH_EVERY = 100;
/** If whoever reads them is too slow, so much is kept; what comes then is lost. Characters. */
const KEEP = 16 * 1024 * 1024;
/** At the end, a reader that is too slow is waited for so long, and looked after so often. Milliseconds. */
const PATIENCE = 1000;
const PAUSE = 10;
const STANDARD_OUTPUT = 1;

const NOTHING = Buffer.alloc(0);

/** Standard output, as the log writes to it: nobody waits for it, and whoever reads it may go at any time. */
export class LogOutput {
  readonly #destination = openDestination();
  /**
   * What the destination has not been given: it gets one piece at a time, of many lines. What is left of several, it would try to write without end where the
   * reader has gone, once the process ends.
   */
  #gathered = '';
  /** Whoever read the log has gone, perhaps; requests are still to be served. */
  #failing = false;
  /** The destination has a piece that it has not written yet. */
  #busy = false;
  /** Among what is gathered are lines that are to be read soon. */
  #urgent = false;
  /** Who waits for all that came so far. */
  readonly #waiting: (() => void)[] = [];

  constructor() {
    this.#destination.on('error', () => {
      this.#failing = true;
      this.#busy = false;
      this.#settle();
    });
    this.#destination.on('write', () => {
      this.#failing = false;
    });
    this.#destination.on('drain', () => {
      this.#busy = false;
      // The others wait until they are many: a piece for each that was written wakes a thread for a few lines.
      if (this.#urgent || this.#gathered.length >= GATHER) this.#handOver();
      if (!this.#busy) this.#settle();
    });
    setInterval(() => this.#handOver(), FLUSH_EVERY).unref();
  }

  /** Whole lines that can wait for others. */
  gather(lines: string): void {
    if (this.#gathered.length + lines.length > KEEP) return;
    this.#gathered += lines;
    if (this.#gathered.length >= GATHER) this.#handOver();
  }

  /** Whole lines that are to be read soon. */
  write(lines: string): void {
    this.gather(lines);
    this.#urgent = this.#gathered !== '';
    this.#handOver();
  }

  /** Writes out what is still in memory, and waits for that. A piece that is under way comes to its end by itself. */
  flush(): void {
    if (this.#failing) return;
    try {
      this.#writeNow();
    } catch {
      // Closed by the reader, or not read: there is nothing more to do at the end.
    }
  }

  /** Nobody reads it any more. */
  giveUp(): void {
    this.#gathered = '';
    this.#failing = true;
  }

  /** Resolves when all lines so far have been written, or cannot be. */
  written(): Promise<void> {
    this.#urgent = this.#gathered !== '';
    this.#handOver();
    return this.#busy && !this.#failing
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve();
  }

  #handOver(): void {
    if (this.#gathered === '' || this.#busy) return;
    this.#busy = true;
    if (this.#failing) {
      // What it could not write it tries again, and has no use for more until it can: a full disk may have room tomorrow.
      this.#destination.write(NOTHING);
      return;
    }
    const bytes = Buffer.from(this.#gathered);
    // It may be kept for long.
    this.#destination.write(isOwn(bytes) ? bytes : copyBytes(bytes));
    this.#gathered = '';
    this.#urgent = false;
  }

  #writeNow(): void {
    let rest: Uint8Array = Buffer.from(this.#gathered);
    this.#gathered = '';
    const end = performance.now() + PATIENCE;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(STANDARD_OUTPUT, rest));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > end) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
      }
    }
  }

  #settle(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

type Destination = Omit<ReturnType<typeof pino.destination>, 'write'> & { write(bytes: Buffer): boolean };

/** It takes bytes, which its types do not know of. */
function openDestination(): Destination {
  const options = { dest: STANDARD_OUTPUT, sync: false, contentMode: 'buffer' };
  return pino.destination(options) as unknown as Destination;
}
