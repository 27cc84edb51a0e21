/** Streams as Gemini sends them, and the whole answers that they stand for. */
import type { WireResponse } from './kit.ts';

export interface Exchange {
  stream: WireResponse[];
  whole: WireResponse;
  /** How many choices were asked for. */
  n?: number;
}

const model = { modelVersion: 'gemini-x-001', responseId: 'r' };
const parts = (
  ...all: NonNullable<NonNullable<NonNullable<WireResponse['candidates']>[0]['content']>['parts']>
) => ({
  content: { role: 'model', parts: all },
});

export const EXCHANGES: Record<string, Exchange> = {
  'a text with thoughts, whose last piece is a signature': {
    stream: [
      {
        candidates: [{ ...parts({ text: 'Grüße, ', thought: true }), index: 0 }],
        usageMetadata: { promptTokenCount: 9, thoughtsTokenCount: 4, totalTokenCount: 13 },
        ...model,
      },
      { candidates: [{ ...parts({ text: 'denkt es.', thought: true }), index: 0 }], ...model },
      { candidates: [{ ...parts({ text: 'Hello' }), index: 0 }], ...model },
      {
        candidates: [{ ...parts({ text: ' 🙂 "wörld"\n\u2028' }), index: 0 }],
        usageMetadata: {
          promptTokenCount: 9,
          candidatesTokenCount: 3,
          thoughtsTokenCount: 4,
          totalTokenCount: 16,
        },
        ...model,
      },
      {
        candidates: [
          { ...parts({ text: '', thoughtSignature: 'U2lnbmVk' }), finishReason: 'STOP', index: 0 },
        ],
        usageMetadata: {
          promptTokenCount: 9,
          cachedContentTokenCount: 5,
          candidatesTokenCount: 7,
          thoughtsTokenCount: 4,
          totalTokenCount: 20,
        },
        ...model,
      },
    ],
    whole: {
      candidates: [
        {
          ...parts(
            { text: 'Grüße, denkt es.', thought: true },
            { text: 'Hello 🙂 "wörld"\n\u2028', thoughtSignature: 'U2lnbmVk' },
          ),
          finishReason: 'STOP',
          index: 0,
        },
      ],
      usageMetadata: {
        promptTokenCount: 9,
        cachedContentTokenCount: 5,
        candidatesTokenCount: 7,
        thoughtsTokenCount: 4,
        totalTokenCount: 20,
      },
      ...model,
    },
  },
  'parallel calls after a text, the first with a signature, one without arguments': {
    stream: [
      { candidates: [{ ...parts({ text: 'Let me see.' }), index: 0 }], ...model },
      {
        candidates: [
          {
            ...parts(
              {
                functionCall: {
                  id: 'a1',
                  name: 'weather',
                  args: { city: 'Zürich', ['__proto__']: { x: 1 } },
                },
                thoughtSignature: 'U2ln',
              },
              { functionCall: { id: 'b2', name: 'weather', args: { city: 'Rome', days: [1, 2.5, null] } } },
            ),
            index: 0,
          },
        ],
        ...model,
      },
      {
        candidates: [
          { ...parts({ functionCall: { id: 'c3', name: 'now' } }), finishReason: 'STOP', index: 0 },
        ],
        usageMetadata: { promptTokenCount: 30, candidatesTokenCount: 12, totalTokenCount: 42 },
        ...model,
      },
    ],
    whole: {
      candidates: [
        {
          ...parts(
            { text: 'Let me see.' },
            {
              functionCall: { id: 'a1', name: 'weather', args: { city: 'Zürich', ['__proto__']: { x: 1 } } },
              thoughtSignature: 'U2ln',
            },
            { functionCall: { id: 'b2', name: 'weather', args: { city: 'Rome', days: [1, 2.5, null] } } },
            { functionCall: { id: 'c3', name: 'now', args: {} } },
          ),
          finishReason: 'STOP',
          index: 0,
        },
      ],
      usageMetadata: { promptTokenCount: 30, candidatesTokenCount: 12, totalTokenCount: 42 },
      ...model,
    },
  },
  'arguments in pieces, as Vertex sends them where it is asked to': {
    stream: [
      {
        candidates: [
          {
            ...parts({ functionCall: { name: 'paint', willContinue: true }, thoughtSignature: 'U2ln' }),
            index: 0,
          },
        ],
        ...model,
      },
      {
        candidates: [
          {
            ...parts({
              functionCall: {
                partialArgs: [{ jsonPath: '$.room', stringValue: 'living ', willContinue: true }],
                willContinue: true,
              },
            }),
            index: 0,
          },
        ],
        ...model,
      },
      {
        candidates: [
          {
            ...parts({
              functionCall: {
                partialArgs: [
                  { jsonPath: '$.room', stringValue: 'room' },
                  { jsonPath: '$.walls[0].colour', stringValue: 'red' },
                  { jsonPath: "$.walls[0]['is dry']", boolValue: false },
                ],
                willContinue: true,
              },
            }),
            index: 0,
          },
        ],
        ...model,
      },
      {
        candidates: [
          {
            ...parts({
              functionCall: {
                partialArgs: [
                  { jsonPath: '$.walls[1].colour', nullValue: 'NULL_VALUE' },
                  { jsonPath: '$.walls[1].metres', numberValue: 2.5 },
                ],
              },
            }),
            index: 0,
          },
        ],
        ...model,
      },
      {
        candidates: [
          {
            ...parts({ functionCall: {} }, { functionCall: { name: 'rest' } }),
            finishReason: 'STOP',
            index: 0,
          },
        ],
        usageMetadata: { promptTokenCount: 30, candidatesTokenCount: 12, totalTokenCount: 42 },
        ...model,
      },
    ],
    whole: {
      candidates: [
        {
          ...parts(
            {
              functionCall: {
                name: 'paint',
                args: {
                  room: 'living room',
                  walls: [
                    { colour: 'red', 'is dry': false },
                    { colour: null, metres: 2.5 },
                  ],
                },
              },
              thoughtSignature: 'U2ln',
            },
            { functionCall: { name: 'rest', args: {} } },
          ),
          finishReason: 'STOP',
          index: 0,
        },
      ],
      usageMetadata: { promptTokenCount: 30, candidatesTokenCount: 12, totalTokenCount: 42 },
      ...model,
    },
  },
  'two candidates, out of step': {
    n: 2,
    stream: [
      {
        candidates: [
          { ...parts({ text: 'One' }), index: 0 },
          { ...parts({ text: 'Two' }), index: 1 },
        ],
        ...model,
      },
      { candidates: [{ ...parts({ text: ' more' }), finishReason: 'MAX_TOKENS', index: 1 }], ...model },
      {
        candidates: [{ ...parts({ text: ' thing' }), finishReason: 'STOP', index: 0 }],
        usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 6, totalTokenCount: 7 },
        ...model,
      },
    ],
    whole: {
      candidates: [
        { ...parts({ text: 'One thing' }), finishReason: 'STOP', index: 0 },
        { ...parts({ text: 'Two more' }), finishReason: 'MAX_TOKENS', index: 1 },
      ],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 6, totalTokenCount: 7 },
      ...model,
    },
  },
  'an answer with its sources': {
    stream: [
      { candidates: [{ ...parts({ text: 'Schön: ' }), index: 0 }], ...model },
      {
        candidates: [
          {
            ...parts({ text: 'Spain won.' }),
            finishReason: 'STOP',
            index: 0,
            groundingMetadata: {
              groundingChunks: [
                { web: { uri: 'https://a.test/1', title: 'a.test' } },
                { web: { uri: 'https://b.test/2', title: 'b.test' } },
                { web: { uri: 'https://c.test/3' } },
              ],
              groundingSupports: [
                {
                  segment: { startIndex: 8, endIndex: 18, text: 'Spain won.' },
                  groundingChunkIndices: [0, 1],
                },
              ],
            },
          },
        ],
        usageMetadata: {
          promptTokenCount: 5,
          toolUsePromptTokenCount: 40,
          candidatesTokenCount: 6,
          totalTokenCount: 51,
        },
        ...model,
      },
    ],
    whole: {
      candidates: [
        {
          ...parts({ text: 'Schön: Spain won.' }),
          finishReason: 'STOP',
          index: 0,
          groundingMetadata: {
            groundingChunks: [
              { web: { uri: 'https://a.test/1', title: 'a.test' } },
              { web: { uri: 'https://b.test/2', title: 'b.test' } },
              { web: { uri: 'https://c.test/3' } },
            ],
            groundingSupports: [
              { segment: { startIndex: 8, endIndex: 18, text: 'Spain won.' }, groundingChunkIndices: [0, 1] },
            ],
          },
        },
      ],
      usageMetadata: {
        promptTokenCount: 5,
        toolUsePromptTokenCount: 40,
        candidatesTokenCount: 6,
        totalTokenCount: 51,
      },
      ...model,
    },
  },
  'a prompt that was blocked': {
    stream: [
      {
        promptFeedback: { blockReason: 'PROHIBITED_CONTENT' },
        usageMetadata: { promptTokenCount: 8, totalTokenCount: 8 },
        ...model,
      },
    ],
    whole: {
      promptFeedback: { blockReason: 'PROHIBITED_CONTENT' },
      usageMetadata: { promptTokenCount: 8, totalTokenCount: 8 },
      ...model,
    },
  },
  'an answer that was withheld': {
    stream: [
      { candidates: [{ ...parts({ text: 'How to' }), index: 0 }], ...model },
      {
        candidates: [{ finishReason: 'SAFETY', finishMessage: 'It was not safe.', index: 0 }],
        usageMetadata: { promptTokenCount: 8, candidatesTokenCount: 2, totalTokenCount: 10 },
        ...model,
      },
    ],
    whole: {
      candidates: [
        {
          ...parts({ text: 'How to' }),
          finishReason: 'SAFETY',
          finishMessage: 'It was not safe.',
          index: 0,
        },
      ],
      usageMetadata: { promptTokenCount: 8, candidatesTokenCount: 2, totalTokenCount: 10 },
      ...model,
    },
  },
};
