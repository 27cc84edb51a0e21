import type { Json } from './json.ts';
import { Printing, type Steps } from './json-print.ts';

/** Members that stand next to each other in some bytes, with what is between them. */
interface Run {
  start: number;
  /** One past its last byte. */
  end: number;
}

/** What comes to this size is put together in one piece; a larger object goes out in slices of what came in, without a copy. Bytes. */
const COPY_UP_TO = 64 * 1024;

const CLOSE = 0x7d;

/** An object put together of another one's members, as they stand in its bytes, and of printed ones. */
export class Splice {
  readonly #bytes: Buffer;
  readonly #inSteps: boolean;
  readonly #pieces: (Run | string | Printing)[] = [];
  /** What comes after all pieces. */
  #text = '{';
  /** The last piece, where the next member in the bytes may go on with it. */
  #run: Run | null = null;

  /** `inSteps`: arrays and objects are printed by `steps`. */
  constructor(bytes: Buffer, inSteps = false) {
    this.#bytes = bytes;
    this.#inSteps = inSteps;
  }

  /** The next member in the bytes, as it stands. */
  keep(start: number, end: number): void {
    if (this.#run !== null) {
      this.#run.end = end;
      return;
    }
    this.#run = { start, end };
    this.#pieces.push(this.#text === '{' ? '{' : `${this.#text},`, this.#run);
    this.#text = '';
  }

  /** The next member in the bytes is not wanted. */
  leaveOut(): void {
    this.#run = null;
  }

  /** Undefined is left out, as in any object. */
  print(key: string, value: Json | undefined): void {
    if (value === undefined) return;
    this.#run = null;
    const comma = this.#text === '{' ? '' : ',';
    this.#text += `${comma}${JSON.stringify(key)}:`;
    if (this.#inSteps && typeof value === 'object' && value !== null) {
      this.#pieces.push(this.#text, new Printing(value));
      this.#text = '';
    } else this.#text += JSON.stringify(value);
  }

  end(): Buffer[] {
    this.#close();
    const pieces = this.#pieces as (Run | string)[];
    let size = 0;
    for (const piece of pieces)
      size += typeof piece === 'string' ? Buffer.byteLength(piece) : piece.end - piece.start;
    return size <= COPY_UP_TO ? [this.#copied(pieces, size)] : pieces.map((piece) => this.#slice(piece));
  }

  steps(): Steps {
    this.#close();
    return new Joining(this.#pieces.map((piece) => (piece instanceof Printing ? piece : this.#slice(piece))));
  }

  #close(): void {
    const run = this.#run;
    // The brace that stands there already: one piece less.
    if (run !== null && this.#bytes[run.end] === CLOSE) run.end++;
    else this.#pieces.push(`${this.#text}}`);
  }

  #copied(pieces: readonly (Run | string)[], size: number): Buffer {
    const object = Buffer.allocUnsafe(size);
    let at = 0;
    for (const piece of pieces) {
      if (typeof piece === 'string') at += object.write(piece, at);
      else at += this.#bytes.copy(object, at, piece.start, piece.end);
    }
    return object;
  }

  #slice(piece: Run | string): Buffer {
    return typeof piece === 'string' ? Buffer.from(piece) : this.#bytes.subarray(piece.start, piece.end);
  }
}

/** Pieces that are there, and such as are printed first. */
class Joining implements Steps {
  readonly parts: Buffer[] = [];
  readonly #pieces: readonly (Buffer | Printing)[];
  #at = 0;

  constructor(pieces: readonly (Buffer | Printing)[]) {
    this.#pieces = pieces;
  }

  step(): boolean {
    const piece = this.#pieces[this.#at] as Buffer | Printing;
    if (piece instanceof Printing) {
      if (piece.step()) return true;
      for (const part of piece.parts) this.parts.push(part);
    } else this.parts.push(piece);
    this.#at++;
    if (this.#pieces[this.#at] instanceof Buffer) return this.step();
    return this.#at < this.#pieces.length;
  }
}
