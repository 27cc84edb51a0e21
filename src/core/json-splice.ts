import type { Json } from './json.ts';

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
  readonly #pieces: (Run | string)[] = [];
  /** What comes after all pieces. */
  #text = '{';
  /** The last piece, where the next member in the bytes may go on with it. */
  #run: Run | null = null;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
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

  print(key: string, value: Json): void {
    this.#run = null;
    const comma = this.#text === '{' ? '' : ',';
    this.#text += `${comma}${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }

  end(): Buffer[] {
    const run = this.#run;
    // The brace that stands there already: one piece less.
    if (run !== null && this.#bytes[run.end] === CLOSE) run.end++;
    else this.#pieces.push(`${this.#text}}`);
    let size = 0;
    for (const piece of this.#pieces)
      size += typeof piece === 'string' ? Buffer.byteLength(piece) : piece.end - piece.start;
    return size <= COPY_UP_TO ? [this.#copied(size)] : this.#sliced();
  }

  #copied(size: number): Buffer {
    const object = Buffer.allocUnsafe(size);
    let at = 0;
    for (const piece of this.#pieces) {
      if (typeof piece === 'string') at += object.write(piece, at);
      else at += this.#bytes.copy(object, at, piece.start, piece.end);
    }
    return object;
  }

  #sliced(): Buffer[] {
    return this.#pieces.map((piece) =>
      typeof piece === 'string' ? Buffer.from(piece) : this.#bytes.subarray(piece.start, piece.end),
    );
  }
}
