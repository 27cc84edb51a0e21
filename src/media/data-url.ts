import { othersTurn } from '../core/turns.ts';

/** So much becomes base64 before others have their turn: a millisecond's worth, in whole groups of three. Bytes. */
const STEP = 3 * 256 * 1024;

/** A file in base64, as a URL that holds it. Put together in one piece: a text of two parts would be copied whole by whoever reads it first. */
export async function dataUrl(mediaType: string, bytes: Buffer): Promise<string> {
  const start = `data:${mediaType};base64,`;
  const url = Buffer.allocUnsafeSlow(start.length + 4 * Math.ceil(bytes.length / 3));
  let at = url.write(start, 'latin1');
  for (let from = 0; from < bytes.length; from += STEP) {
    if (from > 0) await othersTurn();
    at += url.write(bytes.toString('base64', from, from + STEP), at, 'latin1');
  }
  return url.toString('latin1');
}
