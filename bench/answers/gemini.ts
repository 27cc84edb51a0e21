/** Google's generateContent. */
import {
  ANSWER_TEXT,
  data,
  FIRST_PIECE,
  INPUT_TOKENS,
  OUTPUT_TOKENS,
  PIECE,
  PIECES,
  type Words,
} from './words.ts';

function answer(text: string, finishReason?: string): object {
  return {
    candidates: [
      {
        content: { parts: [{ text }], role: 'model' },
        ...(finishReason === undefined ? {} : { finishReason }),
        index: 0,
      },
    ],
    usageMetadata: {
      promptTokenCount: INPUT_TOKENS,
      candidatesTokenCount: OUTPUT_TOKENS,
      totalTokenCount: INPUT_TOKENS + OUTPUT_TOKENS,
    },
    modelVersion: 'bench-model',
    responseId: 'bench-response',
  };
}

const END = data(answer('', 'STOP'));

export const gemini: Words = {
  whole: Buffer.from(JSON.stringify(answer(ANSWER_TEXT, 'STOP'))),
  streamType: 'text/event-stream',
  events: [data(answer(FIRST_PIECE)), ...Array.from({ length: PIECES }, () => data(answer(PIECE)))],
  end: () => END,
};
