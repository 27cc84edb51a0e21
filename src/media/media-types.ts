import { isUtf8 } from 'node:buffer';

/** What is asked for: a picture; or any file that some model reads, pictures and sound among them. */
export type MediaKind = 'image' | 'file';

/** What files begin with. `at`: bytes before it. */
const SIGNATURES: readonly {
  type: string;
  bytes: string;
  at?: number;
  also?: { bytes: string; at: number };
}[] = [
  { type: 'image/png', bytes: '\x89PNG\r\n\x1a\n' },
  { type: 'image/jpeg', bytes: '\xff\xd8\xff' },
  { type: 'image/gif', bytes: 'GIF87a' },
  { type: 'image/gif', bytes: 'GIF89a' },
  { type: 'image/webp', bytes: 'RIFF', also: { bytes: 'WEBP', at: 8 } },
  { type: 'image/avif', bytes: 'ftypavif', at: 4 },
  { type: 'image/heic', bytes: 'ftyphei', at: 4 },
  { type: 'image/heif', bytes: 'ftypmif1', at: 4 },
  { type: 'audio/wav', bytes: 'RIFF', also: { bytes: 'WAVE', at: 8 } },
  { type: 'audio/mp3', bytes: 'ID3' },
  { type: 'audio/ogg', bytes: 'OggS' },
  { type: 'audio/flac', bytes: 'fLaC' },
  { type: 'audio/mp4', bytes: 'ftypM4A', at: 4 },
];

/** Some programs write a line or two before a PDF's own beginning; readers look for it so far. Bytes. */
const PDF_WITHIN = 1024;

/** Zip files, as which the newer formats of Office come. */
const ZIP = 'PK\x03\x04';
const OFFICE = /^application\/vnd\.openxmlformats-officedocument\.[a-z]+\.[a-z]+$/;

/** An MP3 without a tag begins with a frame. So may other things: this is asked only where the host says that it is sound. */
const MP3_FRAMES = ['\xff\xfb', '\xff\xf3', '\xff\xf2'];

/** By its first bytes; null where they tell nothing. */
function sniff(bytes: Buffer): string | null {
  const begins = (text: string, at = 0) => bytes.toString('latin1', at, at + text.length) === text;
  for (const { type, bytes: text, at, also } of SIGNATURES) {
    if (begins(text, at) && (also === undefined || begins(also.bytes, also.at))) return type;
  }
  return bytes.subarray(0, PDF_WITHIN).includes('%PDF-') ? 'application/pdf' : null;
}

/** A file's type, and its bytes as they are to be sent on. */
export interface Typed {
  mediaType: string;
  bytes: Buffer;
}

/**
 * The type of what was fetched, by its bytes first and by `contentType`, as the host says, only where they tell nothing. Null: it is nothing
 * that was asked for. Texts come in UTF-8.
 */
export function typed(bytes: Buffer, contentType: string, kind: MediaKind): Typed | null {
  const [named = '', ...parameters] = contentType
    .toLowerCase()
    .split(';')
    .map((one) => one.trim());
  const found = sniff(bytes);
  if (kind === 'image') return found?.startsWith('image/') ? { mediaType: found, bytes } : null;
  if (found !== null) return { mediaType: found, bytes };
  const start = bytes.toString('latin1', 0, 4);
  if (named.startsWith('audio/'))
    return MP3_FRAMES.includes(start.slice(0, 2)) ? { mediaType: 'audio/mp3', bytes } : null;
  if (OFFICE.test(named)) return start === ZIP ? { mediaType: named, bytes } : null;
  const isText = /^text\/[\w.+-]{1,60}$/.test(named) || named === 'application/json';
  // What a host has no name for may be a text all the same.
  if (!isText && named !== '' && named !== 'application/octet-stream') return null;
  const text = readText(bytes, isText ? parameters : []);
  return text === null ? null : { mediaType: isText ? named : 'text/plain', bytes: text };
}

/** In UTF-8; null for what is no text. */
function readText(bytes: Buffer, parameters: readonly string[]): Buffer | null {
  if (bytes.length === 0) return null;
  if (isUtf8(bytes)) return bytes.includes(0) ? null : bytes;
  const charset = parameters.find((one) => one.startsWith('charset='))?.slice('charset='.length);
  if (charset === undefined) return null;
  try {
    const decoder = new TextDecoder(charset.replaceAll('"', ''), { fatal: true });
    return Buffer.from(decoder.decode(bytes));
  } catch {
    return null;
  }
}
