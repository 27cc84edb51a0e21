/** Which of a cluster's slots a key is in: CRC16 (XMODEM) of the key, or of what stands in its first braces. */
export const SLOTS = 16_384;

const TABLE = new Uint16Array(256).map((_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (let index = 0; index < hashed.length; index++) {
    const code = hashed.charCodeAt(index);
    // Ours are ASCII; of any other the bytes count, not the characters.
    if (code > 127) return ofBytes(Buffer.from(hashed));
    crc = step(crc, code);
  }
  return crc % SLOTS;
}

function ofBytes(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = step(crc, byte);
  return crc % SLOTS;
}

function step(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] as number);
}
