/** From about here on Node keeps a text outside V8's heap. Bytes. */
const KEPT_OUTSIDE = 1_000_000;

/** Up to here putting pieces together costs much less than it saves, and takes no more than a few milliseconds. Bytes. */
const MOST_IN_PIECES = 4 * 1024 * 1024;

/** Not too long to lie among V8's young objects, even with two bytes for each character. Bytes. */
const PIECE = 32 * 1024;

/**
 * Bytes that are known to be UTF-8, as text. Each 64 MB outside its heap make V8 mark all that lives, while a text that is put together of
 * short pieces lies in the heap and goes with the next look at what is young.
 */
export function decode(bytes: Buffer): string {
  const { length } = bytes;
  if (length < KEPT_OUTSIDE || length > MOST_IN_PIECES) return bytes.toString();
  let text = '';
  for (let at = 0, end = 0; at < length; at = end) {
    end = startOfCharacter(bytes, at + PIECE);
    text += bytes.toString('utf8', at, end);
  }
  return text;
}

/** Where the character of UTF-8 begins that stands there. */
function startOfCharacter(bytes: Buffer, near: number): number {
  for (let at = near; at > near - 3; at--) if (((bytes[at] ?? 0) & 0xc0) !== 0x80) return at;
  return near - 3;
}
