import type { IncomingMessage } from 'node:http';

/** Up to here pieces are put together when the last has come: that takes microseconds. Bytes. */
const SHORT = 64 * 1024;

/** Room is made for as much as a client has announced when it has sent this part of it. */
const PROOF = 1 / 8;

/** Up to here a body is expected before any of it has come: no more than the request itself takes. Bytes. */
export const HELD_AT_FIRST = 4 * 1024;

/** What becomes of the bodies of all requests of a listener. For each, one of these is called once, `longer` before that. */
export interface BodyOwner<T> {
  /** Bytes. */
  readonly maxBody: number;
  whole(of: T, body: Buffer): void;
  /**
   * It is longer than was expected: `HELD_AT_FIRST` of what is announced. Up to so many bytes are expected now, which is up to eight times
   * what has come, and all that was announced when an eighth of it has. False: it is not wanted any more.
   */
  longer(of: T, bytes: number): boolean;
  /** More came than is allowed. What still comes is not read. */
  tooLarge(of: T): void;
  /** It broke off. */
  failed(of: T, error: unknown): void;
}

/** How long its body is said to be. Bytes; 0 where nothing is said of it. */
export function announcedBytes({ headers }: IncomingMessage): number {
  return Number(headers['content-length'] ?? 0);
}

/** Reads a request's body into one piece. `announced`: the bytes that it is said to have; 0 = nothing is said. */
export function readBody<T>(request: IncomingMessage, announced: number, of: T, owner: BodyOwner<T>): void {
  const reader = new BodyReader(announced, of, owner);
  request.on('data', (piece: Buffer) => reader.add(piece));
  request.on('end', () => reader.end());
  request.on('error', (error) => reader.fail(error));
}

const NONE: Buffer = Buffer.alloc(0);

class BodyReader<T> {
  readonly #announced: number;
  readonly #of: T;
  readonly #owner: BodyOwner<T>;
  #length = 0;
  #expected: number;
  /** All that has come, where that was one piece, as nearly always. */
  #body = NONE;
  #pieces: Pieces | null = null;
  #over = false;

  constructor(announced: number, of: T, owner: BodyOwner<T>) {
    this.#announced = announced;
    this.#of = of;
    this.#owner = owner;
    this.#expected = Math.min(announced, HELD_AT_FIRST);
  }

  add(piece: Buffer): void {
    if (this.#over) return;
    this.#length += piece.length;
    const { maxBody } = this.#owner;
    if (this.#length > maxBody) {
      this.#over = true;
      this.#owner.tooLarge(this.#of);
    } else if (this.#length > this.#expected) {
      this.#expected =
        this.#announced > 0
          ? Math.min(this.#announced, this.#length / PROOF)
          : Math.min(maxBody, 2 * this.#length);
      this.#over = !this.#owner.longer(this.#of, this.#expected);
    }
    if (this.#over) this.#letGo();
    else this.#keep(piece);
  }

  #keep(piece: Buffer): void {
    if (this.#pieces !== null) this.#pieces.add(piece);
    else if (this.#body.length === 0) this.#body = piece;
    else {
      this.#pieces = new Pieces(this.#announced);
      this.#pieces.add(this.#body);
      this.#pieces.add(piece);
    }
  }

  end(): void {
    if (this.#over) return;
    const body = this.#pieces?.whole() ?? this.#body;
    this.#letGo();
    this.#owner.whole(this.#of, body);
  }

  fail(error: unknown): void {
    if (!this.#over) this.#owner.failed(this.#of, error);
    this.#over = true;
    this.#letGo();
  }

  /** The request keeps its reader, which is not to keep the body: of one that is refused the rest may come for long. */
  #letGo(): void {
    this.#pieces = null;
    this.#body = NONE;
  }
}

/**
 * A large body is put into its place piece by piece as it comes: put together at its end, 20 MB would hold all other requests up for
 * milliseconds. What is only announced takes no memory.
 */
class Pieces {
  readonly #announced: number;
  #pieces: Buffer[] = [];
  #room: Buffer | null = null;
  #length = 0;

  constructor(announced: number) {
    this.#announced = announced;
  }

  add(piece: Buffer): void {
    if (this.#room !== null) piece.copy(this.#room, this.#length);
    else this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#room === null && this.#length > SHORT && this.#length >= this.#announced * PROOF) {
      // Without an announcement the pieces are put together at the end; with one, no more than that can come.
      if (this.#announced > this.#length) this.#makeRoom();
    }
  }

  #makeRoom(): void {
    this.#room = Buffer.allocUnsafeSlow(this.#announced);
    let at = 0;
    for (const piece of this.#pieces) at += piece.copy(this.#room, at);
    this.#pieces = [];
  }

  whole(): Buffer {
    return this.#room?.subarray(0, this.#length) ?? Buffer.concat(this.#pieces, this.#length);
  }
}
