import { Transform, type TransformCallback } from 'node:stream';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { headerText, type WireHeaders } from '../providers/retry-after.ts';

/** No answer is taken for larger than this once unpacked. Bytes. */
export const MAX_ANSWER = 64 * 1024 * 1024;

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

/**
 * We ask for no compression; some hosts compress all the same. The coding of a body: null for none, 'unknown' for one
 * that we cannot unpack.
 */
export function contentCoding(headers: WireHeaders): Coding | 'unknown' | null {
  const name = headerText(headers, 'content-encoding')?.trim().toLowerCase();
  switch (name) {
    case undefined:
    case '':
    case 'identity':
      return null;
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'deflate':
    case 'br':
    case 'zstd':
      return name;
    default:
      return 'unknown';
  }
}

/** Of what is unpacked, as much is remembered as the packed may refer to: for HTTP 8 MB at most (RFC 9659). By itself zstd would take 128 MB for each body. */
const ZSTD = { params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } };

const UNPACKERS = {
  gzip: promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip),
  deflate: promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflate),
  bareDeflate: promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflateRaw),
  br: promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress),
  zstd: promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress),
};

/** A whole body as these headers say it was packed. Null: it cannot be unpacked, being damaged, cut short, or larger than MAX_ANSWER. */
export function unpackBody(headers: WireHeaders, packed: Buffer): Buffer | null | Promise<Buffer | null> {
  const coding = contentCoding(headers);
  if (coding === null) return packed;
  return coding === 'unknown' ? null : unpack(coding, packed).catch(() => null);
}

function unpack(coding: Coding, packed: Buffer): Promise<Buffer> {
  const way = coding === 'deflate' && isBare(packed) ? 'bareDeflate' : coding;
  return UNPACKERS[way](packed, { maxOutputLength: MAX_ANSWER, ...(way === 'zstd' ? ZSTD : {}) });
}

/** What ends before its packing does is no error here: an error would throw away what is unpacked and not read yet. Whether a stream is whole, its events tell. */
const LENIENT = { finishFlush: zlib.constants.Z_SYNC_FLUSH };

/** Unpacks a stream as it comes. */
export function unpackStream(coding: Coding): Transform {
  switch (coding) {
    case 'gzip':
      return zlib.createGunzip(LENIENT);
    case 'deflate':
      return new Inflate();
    case 'br':
      return zlib.createBrotliDecompress({ finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH });
    case 'zstd':
      return zlib.createZstdDecompress({ finishFlush: zlib.constants.ZSTD_e_flush, ...ZSTD });
  }
}

/** `deflate` means zlib's format; some servers leave out its frame. Does this begin without it? */
function isBare(packed: Buffer): boolean {
  return packed.length > 0 && ((packed[0] as number) & 0x0f) !== 8;
}

/** Inflates with or without zlib's frame, as the first byte tells. */
class Inflate extends Transform {
  #inner: zlib.Inflate | zlib.InflateRaw | null = null;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#inner ??= this.#open(chunk);
    this.#inner.write(chunk, () => done());
  }

  override _flush(done: TransformCallback): void {
    if (this.#inner === null) done();
    else this.#inner.once('end', () => done()).end();
  }

  override _read(size: number): void {
    this.#inner?.resume();
    super._read(size);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy();
    done(error);
  }

  #open(first: Buffer): zlib.Inflate | zlib.InflateRaw {
    const inner = isBare(first) ? zlib.createInflateRaw(LENIENT) : zlib.createInflate(LENIENT);
    // What nobody reads is not unpacked.
    inner.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause();
    });
    return inner.on('error', (error) => this.destroy(error));
  }
}
