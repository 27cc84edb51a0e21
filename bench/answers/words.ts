/** What a stand-in for a provider says, as prebuilt bytes. All say the same text, each in its own words. */
import { filler } from '../loads.ts';

export interface Words {
  /** A whole answer: JSON. */
  whole: Buffer;
  /** The content type of a stream. */
  streamType: string;
  /** Of a stream, but for its end; the first content is the second or third of them. */
  events: readonly Buffer[];
  /** What ends a stream: with the usage, where a client may have asked for that. */
  end(usage: boolean): Buffer;
}

/** Of a whole answer. */
export const ANSWER_TEXT = filler(300);
/** The content of a stream: this, and then so often the same piece. */
export const FIRST_PIECE = 'As it was';
export const PIECE = ' relayed';
export const PIECES = 97;

export const INPUT_TOKENS = 42;
export const OUTPUT_TOKENS = 64;

/** One of the events of a stream of server-sent events. */
export function data(payload: object): Buffer {
  return Buffer.from(`data: ${JSON.stringify(payload)}\n\n`);
}
