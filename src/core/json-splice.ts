/** Members that stand next to each other in some bytes, with what is between them. */
export interface Run {
  start: number;
  /** One past its last byte. */
  end: number;
}

/** Members of an object: as they came, or as they are printed. */
export type Piece = Run | string;

/** What comes to this size is put together in one piece; a larger object goes out in slices of what came in, without a copy. Bytes. */
const COPY_UP_TO = 64 * 1024;

const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;

/** An object of these members. `bytes`: what the runs are parts of. */
export function splice(bytes: Buffer, pieces: readonly Piece[]): Buffer[] {
  // The braces, and the commas between the pieces.
  let size = Math.max(2, pieces.length + 1);
  for (const piece of pieces)
    size += typeof piece === 'string' ? Buffer.byteLength(piece) : piece.end - piece.start;
  return size <= COPY_UP_TO ? [copied(bytes, pieces, size)] : sliced(bytes, pieces);
}

function copied(bytes: Buffer, pieces: readonly Piece[], size: number): Buffer {
  const object = Buffer.allocUnsafe(size);
  let at = 0;
  for (const piece of pieces) {
    object[at] = at === 0 ? OPEN : COMMA;
    at += 1;
    if (typeof piece === 'string') at += object.write(piece, at);
    else at += bytes.copy(object, at, piece.start, piece.end);
  }
  if (at === 0) object[at++] = OPEN;
  object[at] = CLOSE;
  return object;
}

function sliced(bytes: Buffer, pieces: readonly Piece[]): Buffer[] {
  const parts: Buffer[] = [];
  let text = '{';
  pieces.forEach((piece, index) => {
    if (index > 0) text += ',';
    if (typeof piece === 'string') text += piece;
    else {
      parts.push(Buffer.from(text), bytes.subarray(piece.start, piece.end));
      text = '';
    }
  });
  parts.push(Buffer.from(`${text}}`));
  return parts;
}
