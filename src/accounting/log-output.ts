import { write, writeSync } from 'node:fs';

/** Lines are gathered up to this before they are written: one system call for many. Characters. */
const GATHER = 32 * 1024;
/** And written after this long in any case; what could not be written is tried again as often. Milliseconds. */
const FLUSH_EVERY = 100;
/** If whoever reads them is too slow, so much is kept, and one line of any length; what comes then is lost, and counted. Characters. */
const KEEP = 16 * 1024 * 1024;
/** At the end, a reader that is too slow is waited for so long. Milliseconds. */
const PATIENCE = 1000;
/** A reader that takes nothing just now is looked after so often. Milliseconds. */
const PAUSE = 10;
const STANDARD_OUTPUT = 1;

/** Standard output, as the log writes to it: nobody waits for it, and whoever reads it may go, and a disk be full, at any time. */
export class LogOutput {
  /** What no thread has been given yet: one writes at a time, and many lines. */
  #gathered = '';
  /** Among what is gathered are lines that are to be read soon. */
  #urgent = false;
  /** What is being written, or is to be tried again. */
  #piece: Uint8Array | null = null;
  /** A thread writes it. */
  #writing = false;
  /** When a reader that takes nothing just now is looked after. */
  #pause: NodeJS.Timeout | undefined;
  /** Lines that there was no room for. */
  #lost = 0;
  readonly #onLost: (lines: number) => void;
  /** Nobody reads it any more. */
  #unread = false;
  /** Who waits for all that came so far. */
  readonly #waiting: (() => void)[] = [];

  /** `onLost`: called when there is room again after there was none for so many lines. */
  constructor(onLost: (lines: number) => void) {
    this.#onLost = onLost;
    setInterval(() => this.#onTime(), FLUSH_EVERY).unref();
  }

  /** Whole lines that can wait for others. */
  gather(lines: string): void {
    if (this.#unread) return;
    if (this.#gathered !== '' && this.#gathered.length + lines.length > KEEP) {
      this.#lost += lines.split('\n').length - 1;
      return;
    }
    this.#gathered += lines;
    if (this.#gathered.length >= GATHER) this.#handOver();
  }

  /** Whole lines that are to be read soon. */
  write(lines: string): void {
    this.gather(lines);
    this.#hurry();
  }

  /**
   * Writes out what is still in memory, and waits for that. Once, when the process ends: what a thread is writing is not waited for, and may be cut off, or
   * come after the rest. Whoever has the time waits for `written` first.
   */
  flush(): void {
    const rest: Uint8Array[] = [Buffer.from(this.#gathered)];
    if (this.#piece !== null && !this.#writing) rest.unshift(this.#piece);
    try {
      writeNow(Buffer.concat(rest));
    } catch {
      // Closed by the reader, not read, or no room: there is nothing more to do at the end.
    }
  }

  /** Nobody reads it any more. */
  giveUp(): void {
    this.#unread = true;
    this.#gathered = '';
    if (!this.#writing) this.#piece = null;
    this.#settle();
  }

  /** Resolves when all lines so far have been written, or cannot be. */
  written(): Promise<void> {
    this.#retry();
    this.#hurry();
    return this.#piece === null ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  #onTime(): void {
    // A full disk may have room by now.
    this.#retry();
    this.#hurry();
  }

  /** Has what is gathered written next. */
  #hurry(): void {
    this.#urgent = this.#gathered !== '';
    this.#handOver();
  }

  #handOver(): void {
    if (this.#piece !== null || this.#gathered === '') return;
    this.#writePiece(Buffer.from(this.#gathered));
    this.#gathered = '';
    this.#urgent = false;
  }

  #retry(): void {
    if (this.#piece !== null && !this.#writing) this.#writePiece(this.#piece);
  }

  #writePiece(piece: Uint8Array): void {
    this.#piece = piece;
    this.#writing = true;
    clearTimeout(this.#pause);
    write(STANDARD_OUTPUT, piece, (error, count) => {
      this.#writing = false;
      if (this.#unread) this.giveUp();
      else if (error === null) this.#wrote(piece.subarray(count));
      else if (error.code === 'EAGAIN') this.#pause = setTimeout(() => this.#retry(), PAUSE).unref();
      else this.#settle();
    });
  }

  #wrote(rest: Uint8Array): void {
    if (rest.length > 0) {
      this.#writePiece(rest);
      return;
    }
    this.#piece = null;
    // The others wait until they are many: a piece for each that was written would wake a thread for a few lines.
    if (this.#urgent || this.#gathered.length >= GATHER) this.#handOver();
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.#onLost(lost);
    if (this.#piece === null) this.#settle();
  }

  #settle(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function writeNow(bytes: Uint8Array): void {
  let rest = bytes;
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
