/** Amazon's Converse. A stream is frames of the vendor's own, which the vendor's library writes. */
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { ANSWER_TEXT, FIRST_PIECE, INPUT_TOKENS, OUTPUT_TOKENS, PIECE, PIECES, type Words } from './words.ts';

const USAGE = {
  inputTokens: INPUT_TOKENS,
  outputTokens: OUTPUT_TOKENS,
  totalTokens: INPUT_TOKENS + OUTPUT_TOKENS,
};
const METRICS = { latencyMs: 1 };

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString()),
  (text) => Buffer.from(text),
);

/** Pads its payload, as Bedrock does, so that lengths tell nothing. */
function frame(type: string, payload: object): Buffer {
  const text = (value: string) => ({ type: 'string' as const, value });
  const headers = {
    ':event-type': text(type),
    ':content-type': text('application/json'),
    ':message-type': text('event'),
  };
  return Buffer.from(
    codec.encode({ headers, body: Buffer.from(JSON.stringify({ ...payload, p: 'abcdefghijklmnop' })) }),
  );
}

function piece(text: string): Buffer {
  return frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } });
}

const END = frame('metadata', { usage: USAGE, metrics: METRICS });

export const bedrock: Words = {
  whole: Buffer.from(
    JSON.stringify({
      output: { message: { role: 'assistant', content: [{ text: ANSWER_TEXT }] } },
      stopReason: 'end_turn',
      usage: USAGE,
      metrics: METRICS,
    }),
  ),
  streamType: 'application/vnd.amazon.eventstream',
  events: [
    frame('messageStart', { role: 'assistant' }),
    piece(FIRST_PIECE),
    ...Array.from({ length: PIECES }, () => piece(PIECE)),
    frame('contentBlockStop', { contentBlockIndex: 0 }),
    frame('messageStop', { stopReason: 'end_turn' }),
  ],
  end: () => END,
};
