import { Socket } from 'node:net';

/** As much as Node writes without memory of its own for it. Bytes. */
const SHORT = 16 * 1024;

type Pieces = Parameters<NonNullable<Socket['_writev']>>[0];

/**
 * Has what is written in pieces go out in one, where it is short: undici writes the head and the body of a call as two, which costs Node about as much again as
 * the write itself.
 */
export function inOneWrite(socket: Socket): Socket {
  socket._writev = writeInOne;
  return socket;
}

function writeInOne(this: Socket, pieces: Pieces, done: (error?: Error | null) => void): void {
  const text = asText(pieces);
  if (text === null) Socket.prototype._writev?.call(this, pieces, done);
  else this._write(text, 'latin1', done);
}

/** With a character for each byte. Null: that is not short, or not all of it is bytes. */
function asText(pieces: Pieces): string | null {
  let text = '';
  for (const { chunk, encoding } of pieces) {
    const isText = typeof chunk === 'string';
    if (text.length + chunk.length > SHORT || (isText && encoding !== 'latin1')) return null;
    text += isText ? chunk : chunk.latin1Slice();
  }
  return text;
}
