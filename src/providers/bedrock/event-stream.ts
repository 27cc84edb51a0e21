import { crc32 } from 'node:zlib';
import type { FrameDecoder, FrameSink } from '../adapter.ts';

/** What the vendor's library makes of one frame. */
interface Frame {
  headers: Record<string, { type: string; value: unknown }>;
  body: Uint8Array;
}

/** The part of the vendor's codec that is used. Checks lengths and both checksums, and throws where they are wrong. */
export interface FrameCodec {
  decode(frame: Uint8Array): Frame;
}

/** What an event's type begins with where the frame says that something failed. The name of what failed follows. */
export const FAILED = 'failed:';

/** Two lengths of 4 bytes each, and their checksum. */
const PRELUDE = 12;
/** The prelude, and the checksum of it all. */
const SHORTEST_FRAME = 16;
/** AWS allows 24 MB of payload and 128 kB of headers. Bytes. */
const LONGEST_FRAME = 25 * 1024 * 1024;

let codec: FrameCodec | null = null;

/** Brings in the vendor's library; needed once, before the first stream. */
export async function loadFrameCodec(): Promise<void> {
  if (codec !== null) return;
  const { EventStreamCodec } = await import('@smithy/eventstream-codec');
  codec = new EventStreamCodec(
    (bytes) => (typeof bytes === 'string' ? bytes : textOf(bytes)),
    (text) => Buffer.from(text),
  );
}

/** `application/vnd.amazon.eventstream` to events: the payload, and the event's type or, behind `FAILED`, the name of what failed. */
export function frameDecoder(sink: FrameSink): FrameDecoder {
  if (codec === null) throw new Error('the decoder of event streams has not been loaded');
  return new EventStreamDecoder(sink, codec);
}

/** Puts frames together from pieces of any size. A frame's bytes are copied once, and only looked at when all have come. */
class EventStreamDecoder implements FrameDecoder {
  readonly #sink: FrameSink;
  readonly #codec: FrameCodec;
  readonly #prelude = Buffer.alloc(PRELUDE);
  /** Of the frame that is being put together; null until its prelude is whole. A buffer of its own: a header's false length leads nowhere. */
  #frame: Uint8Array | null = null;
  /** Bytes of the frame, or of its prelude, that have come. */
  #filled = 0;
  #stopped = false;

  constructor(sink: FrameSink, codec: FrameCodec) {
    this.#sink = sink;
    this.#codec = codec;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      const target: Uint8Array = this.#frame ?? this.#prelude;
      const piece = chunk.subarray(at, at + target.length - this.#filled);
      target.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled < target.length) return;
      if (this.#frame === null) this.#begin();
      else this.#finish(this.#frame);
    }
  }

  end(): void {
    if (!this.#stopped && this.#filled > 0) throw new Error('the stream ended within a frame');
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The prelude is whole. Its checksum is looked at here already: of a damaged length one would wait for bytes that never come. */
  #begin(): void {
    const prelude = this.#prelude;
    const length = prelude.readUInt32BE(0);
    const headers = prelude.readUInt32BE(4);
    if (crc32(prelude.subarray(0, 8)) !== prelude.readUInt32BE(8)) {
      throw new Error('a frame of the stream has a wrong checksum');
    }
    if (length < SHORTEST_FRAME || length > LONGEST_FRAME || headers > length - SHORTEST_FRAME) {
      throw new Error('a frame of the stream has impossible lengths');
    }
    this.#frame = new Uint8Array(length);
    this.#frame.set(prelude);
  }

  #finish(bytes: Uint8Array): void {
    this.#frame = null;
    this.#filled = 0;
    const { headers, body } = this.#decoded(bytes);
    switch (headerOf(headers, ':message-type')) {
      case 'event':
        this.#sink.event(textOf(body), headerOf(headers, ':event-type') ?? '');
        return;
      case 'exception':
        this.#sink.event(textOf(body), `${FAILED}${headerOf(headers, ':exception-type') ?? 'exception'}`);
        return;
      case 'error': {
        const message = headerOf(headers, ':error-message') ?? '';
        const name = headerOf(headers, ':error-code') ?? 'error';
        this.#sink.event(JSON.stringify({ message }), `${FAILED}${name}`);
        return;
      }
      default:
        throw new Error('a frame of the stream does not say what it is');
    }
  }

  #decoded(bytes: Uint8Array): Frame {
    try {
      return this.#codec.decode(bytes);
    } catch (cause) {
      throw new Error('a frame of the stream is damaged', { cause });
    }
  }
}

function headerOf(headers: Frame['headers'], name: string): string | null {
  const value = Object.hasOwn(headers, name) ? headers[name]?.value : null;
  return typeof value === 'string' && value !== '' ? value : null;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
