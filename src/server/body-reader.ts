import type { IncomingMessage } from 'node:http';

/** Up to here pieces are put together when the last has come: that takes microseconds. Bytes. */
const SHORT = 64 * 1024;

/** Room is made for as much as a client has announced when it has sent this part of it. */
const PROOF = 1 / 8;

/** Up to here a body is expected before any of it has come: no more than the request itself takes. Bytes. */
export const HELD_AT_FIRST = 4 * 1024;

export interface BodyReader {
  whole(body: Buffer): void;
  /**
   * It is longer than was expected: `HELD_AT_FIRST` of what is announced. Up to so many bytes are expected now, which is up to eight times
   * what has come, and all that was announced when an eighth of it has. False: it is not wanted any more.
   */
  longer(bytes: number): boolean;
  /** More came than is allowed. What still comes is not read. */
  tooLarge(): void;
  /** It broke off. */
  failed(error: unknown): void;
}

/** Reads a request's body into one piece, and calls one of the reader's functions, once. `limit`: in bytes. */
export function readBody(request: IncomingMessage, limit: number, reader: BodyReader): void {
  const announced = Number(request.headers['content-length'] ?? 0);
  let expected = Math.min(announced, HELD_AT_FIRST);
  const body = new Pieces(announced);
  let over = false;
  request.on('data', (piece: Buffer) => {
    if (over) return;
    const length = body.length + piece.length;
    if (length > limit) {
      over = true;
      reader.tooLarge();
    } else if (length > expected) {
      expected = announced > 0 ? Math.min(announced, length / PROOF) : Math.min(limit, 2 * length);
      over = !reader.longer(expected);
    }
    if (!over) body.add(piece);
  });
  request.on('end', () => {
    if (!over) reader.whole(body.whole());
  });
  request.on('error', (error) => {
    if (!over) reader.failed(error);
    over = true;
  });
}

/**
 * A large body is put into its place piece by piece as it comes: put together at its end, 20 MB would hold all other requests up for
 * milliseconds. What is only announced takes no memory.
 */
class Pieces {
  readonly #announced: number;
  #pieces: Buffer[] = [];
  #room: Buffer | null = null;
  length = 0;

  constructor(announced: number) {
    this.#announced = announced;
  }

  add(piece: Buffer): void {
    if (this.#room !== null) piece.copy(this.#room, this.length);
    else this.#pieces.push(piece);
    this.length += piece.length;
    if (this.#room === null && this.length > SHORT && this.length >= this.#announced * PROOF) {
      // Without an announcement the pieces are put together at the end; with one, no more than that can come.
      if (this.#announced > this.length) this.#makeRoom();
    }
  }

  #makeRoom(): void {
    this.#room = Buffer.allocUnsafeSlow(this.#announced);
    let at = 0;
    for (const piece of this.#pieces) at += piece.copy(this.#room, at);
    this.#pieces = [];
  }

  /** The body, once: nothing of it is kept here, though the request keeps its reader. */
  whole(): Buffer {
    const room = this.#room;
    const pieces = this.#pieces;
    this.#room = null;
    this.#pieces = [];
    if (room !== null) return room.subarray(0, this.length);
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, this.length);
  }
}
