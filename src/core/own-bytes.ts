/** Bytes may keep so many times their length in memory, not more: they may be a small piece of what was read or allocated at once. */
const MOST_KEPT = 1.25;

/** Does it keep little more in memory than itself? */
export function isOwn(bytes: Buffer): boolean {
  return bytes.buffer.byteLength <= MOST_KEPT * bytes.length;
}

/** A copy that shares its memory with nothing: `Buffer.from` and `Buffer.concat` take theirs from slabs of 64 KB. */
export function copyBytes(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

/** From here on bytes share their memory with nothing but what they came with. Bytes. */
const LARGE = 32 * 1024;

/** The same parts for one who keeps them long: those that are small pieces of something larger are copied. */
export function ownParts(parts: readonly Buffer[]): readonly Buffer[] {
  return parts.map((part) => (part.length >= LARGE || isOwn(part) ? part : copyBytes(part)));
}
