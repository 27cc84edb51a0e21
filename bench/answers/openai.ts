/** OpenAI's chat completions: the answer has 700 bytes, every event 250. */
import { sized } from '../loads.ts';
import { ANSWER_TEXT, data, INPUT_TOKENS, OUTPUT_TOKENS, PIECE, PIECES, type Words } from './words.ts';

/** Precedes, in the first content of a stream, the instant at which it was written: 16 digits, nanoseconds. */
export const STAMP = '@';
export const STAMP_DIGITS = 16;

const COMMON = { id: 'chatcmpl-bench', created: 1_795_219_200, model: 'bench-model' };
const COMPLETION = { ...COMMON, object: 'chat.completion' };
const CHUNK = { ...COMMON, object: 'chat.completion.chunk' };
const USAGE = {
  prompt_tokens: INPUT_TOKENS,
  completion_tokens: OUTPUT_TOKENS,
  total_tokens: INPUT_TOKENS + OUTPUT_TOKENS,
};

/** An event of `bytes`, whatever it says. */
function event(delta: object, finish: string | null = null, bytes = 250): Buffer {
  const json = sized(bytes - 'data: \n\n'.length, (text) => ({
    ...CHUNK,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    obfuscation: text,
  }));
  return Buffer.concat([Buffer.from('data: '), json, Buffer.from('\n\n')]);
}

const DONE = Buffer.from('data: [DONE]\n\n');
const USAGE_AND_DONE = Buffer.concat([data({ ...CHUNK, choices: [], usage: USAGE }), DONE]);

/** An event with one of the pieces, and a large one: for streams that stay open. */
export const HELD_EVENT = event({ content: PIECE });
export const LARGE_EVENT = event({ content: PIECE }, null, 16 * 1024);

/** 100 events: the role, 98 times content (the first with room for a stamp), the finish. `[DONE]` comes on top. */
export const openai: Words = {
  whole: sized(700, (text) => ({
    ...COMPLETION,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: ANSWER_TEXT, refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: USAGE,
    system_fingerprint: text,
  })),
  streamType: 'text/event-stream',
  events: [
    event({ role: 'assistant', content: '' }),
    event({ content: STAMP + '0'.repeat(STAMP_DIGITS) }),
    ...Array.from({ length: PIECES }, () => event({ content: PIECE })),
    event({}, 'stop'),
  ],
  end: (usage) => (usage ? USAGE_AND_DONE : DONE),
};
