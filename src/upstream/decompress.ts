import type { Transform } from 'node:stream';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { headerText, type WireHeaders } from '../providers/retry-after.ts';

/** No answer is taken for larger than this once unpacked. Bytes. */
export const MAX_ANSWER = 64 * 1024 * 1024;

type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

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

const UNPACKERS = {
  gzip: promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip),
  deflate: promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflate),
  br: promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress),
  zstd: promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress),
};

/** Unpacks a whole body. Rejects when it is damaged, cut short, or larger than MAX_ANSWER. */
export function unpack(coding: Coding, packed: Buffer): Promise<Buffer> {
  return UNPACKERS[coding](packed, { maxOutputLength: MAX_ANSWER });
}

/** Unpacks a stream as it comes. */
export function unpackStream(coding: Coding): Transform {
  switch (coding) {
    case 'gzip':
      return zlib.createGunzip();
    case 'deflate':
      return zlib.createInflate();
    case 'br':
      return zlib.createBrotliDecompress();
    case 'zstd':
      return zlib.createZstdDecompress();
  }
}
