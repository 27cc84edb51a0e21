/** The event that ends a stream of OpenAI's. */
export const DONE_EVENT = Buffer.from('data: [DONE]\n\n');

/** A comment: keeps a quiet connection open, and clients read over it. */
export const PING_COMMENT = Buffer.from(': ping\n\n');

/** An event with this text as its data. Line ends in it (JSON as `JSON.stringify` writes it has none) split it over several data lines, and all arrive as LF. */
export function encodeData(json: string): Buffer {
  const oneLine = !json.includes('\n') && !json.includes('\r');
  return Buffer.from(`data: ${oneLine ? json : json.split(/\r\n|\n|\r/).join('\ndata: ')}\n\n`);
}

/** The same for an event with a type. Both are of one line. */
export function encodeEvent(type: string, data: string): Buffer {
  return Buffer.from(`event: ${type}\ndata: ${data}\n\n`);
}
