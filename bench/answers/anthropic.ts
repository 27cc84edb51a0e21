/** Anthropic's messages. */
import { ANSWER_TEXT, FIRST_PIECE, INPUT_TOKENS, OUTPUT_TOKENS, PIECE, PIECES, type Words } from './words.ts';

const MESSAGE = {
  id: 'msg_bench',
  type: 'message',
  role: 'assistant',
  model: 'bench-model',
  content: [{ type: 'text', text: ANSWER_TEXT }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: {
    input_tokens: INPUT_TOKENS,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: OUTPUT_TOKENS,
  },
};
const BEGUN = { ...MESSAGE, content: [], stop_reason: null, usage: { ...MESSAGE.usage, output_tokens: 1 } };

function event(type: string, payload: object = {}): Buffer {
  return Buffer.from(`event: ${type}\ndata: ${JSON.stringify({ type, ...payload })}\n\n`);
}

function piece(text: string): Buffer {
  return event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
}

const STOP = event('message_stop');

export const anthropic: Words = {
  whole: Buffer.from(JSON.stringify(MESSAGE)),
  streamType: 'text/event-stream; charset=utf-8',
  events: [
    event('message_start', { message: BEGUN }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    piece(FIRST_PIECE),
    ...Array.from({ length: PIECES }, () => piece(PIECE)),
    event('content_block_stop', { index: 0 }),
    event('message_delta', {
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: OUTPUT_TOKENS },
    }),
  ],
  end: () => STOP,
};
