/** Below this a loop is quicker than the call into native code. Characters. */
const SHORT = 16;

/**
 * How long a text is in UTF-8. That is what tokens go by: tokenizers work on bytes, and what is Latin, Cyrillic, Chinese or an emoji then
 * comes to about the same for each token, which its characters do not.
 */
export function utf8Length(text: string): number {
  const { length } = text;
  if (length > SHORT) return Buffer.byteLength(text);
  let bytes = length;
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at);
    // A pair of surrogates takes four bytes: two for each half.
    if (unit > 0x7f) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}
