import type { Transform } from 'node:stream';
import type { Failure } from '../core/outcome.ts';
import { type Coding, unpackStream } from './decompress.ts';
import { plainFailure } from './transport-failure.ts';

/** Whose body it is. */
export interface PackedBodyOwner {
  unpacked(chunk: Buffer): void;
  /** It can take more again. Whether or not the reader is slow: it takes no more than its own room while nobody reads it. */
  drained(): void;
  /** All of it is unpacked. */
  ended(): void;
  /** It is damaged, or broke off and all that had come is unpacked. */
  broken(failure: Failure): void;
}

/** The body of a stream that comes packed, unpacked as it comes. */
export class PackedBody {
  readonly #unpacker: Transform;
  /** How it broke off. */
  #brokeOff: Failure | null = null;

  constructor(coding: Coding, owner: PackedBodyOwner) {
    const unpacker = unpackStream(coding);
    this.#unpacker = unpacker;
    unpacker.on('data', (chunk: Buffer) => owner.unpacked(chunk));
    unpacker.on('drain', () => owner.drained());
    unpacker.on('end', () => {
      if (this.#brokeOff === null) owner.ended();
      else owner.broken(this.#brokeOff);
    });
    unpacker.on('error', ({ message }) =>
      owner.broken(this.#brokeOff ?? plainFailure('broken_body', `damaged compressed body: ${message}`)),
    );
  }

  /** False: no more for now, until `drained`. */
  write(chunk: Buffer): boolean {
    return this.#unpacker.write(chunk);
  }

  /** All has come. */
  end(): void {
    this.#unpacker.end();
  }

  /** No more will come. */
  breakOff(failure: Failure): void {
    this.#brokeOff = failure;
    this.#unpacker.end();
  }

  pause(): void {
    this.#unpacker.pause();
  }

  resume(): void {
    this.#unpacker.resume();
  }

  destroy(): void {
    this.#unpacker.destroy();
  }
}
