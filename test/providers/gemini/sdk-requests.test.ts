/** What is sent for a chat, next to what Google's own SDK sends for the same thing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  FunctionCallingConfigMode,
  type GenerateContentParameters,
  GoogleGenAI,
  MediaResolution,
  ServiceTier,
  ThinkingLevel,
} from '@google/genai';
import type { JsonObject } from '../../../src/core/json.ts';
import { type AskChanges, sentJson } from '../kit.ts';
import { prepare, recorder } from './kit.ts';

const PNG = 'iVBORw0KGgo=';
const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const WEATHER = {
  type: 'function',
  function: { name: 'weather', description: 'Tells it.', parameters: SCHEMA },
};
const TIME = { type: 'function', function: { name: 'time' } };
const DECLARED = [
  { functionDeclarations: [{ name: 'weather', description: 'Tells it.', parametersJsonSchema: SCHEMA }] },
];
const user = (content: JsonObject[] | string) => ({ role: 'user', content }) as JsonObject;
const hi = { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] };

interface Row {
  chat: JsonObject;
  google: Omit<GenerateContentParameters, 'model'>;
  changes?: AskChanges;
}

const level: AskChanges = { capabilities: { thinkingConfig: 'level' } };
const budget: AskChanges = { capabilities: { thinkingConfig: 'budget' } };
const { AUTO, ANY, NONE, VALIDATED } = FunctionCallingConfigMode;

/** A tool loop: a call, its result, and another question. */
const call = (id: string, name: string, args: string, extra: JsonObject = {}): JsonObject => ({
  id,
  type: 'function',
  function: { name, arguments: args },
  ...extra,
});
const signed = (signature: string) => ({ extra_content: { google: { thought_signature: signature } } });

const ROWS: Record<string, Row> = {
  'a text': { chat: {}, google: hi },
  'system and developer messages at the beginning': {
    chat: {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
        user('Hi'),
      ],
    },
    google: {
      ...hi,
      config: { systemInstruction: { parts: [{ text: 'Be brief.' }, { text: 'Be kind.' }] } },
    },
  },
  'a system message later, which is moved to the beginning, and the turns round it': {
    chat: { messages: [user('Hi'), { role: 'system', content: 'Be brief.' }, user('Well?')] },
    google: {
      contents: [{ role: 'user', parts: [{ text: 'Hi' }, { text: 'Well?' }] }],
      config: { systemInstruction: { parts: [{ text: 'Be brief.' }] } },
    },
  },
  'messages of one role in a row': {
    chat: {
      messages: [
        user('a'),
        user('b'),
        { role: 'assistant', content: 'c' },
        { role: 'assistant', content: 'd' },
        user('e'),
      ],
    },
    google: {
      contents: [
        { role: 'user', parts: [{ text: 'a' }, { text: 'b' }] },
        { role: 'model', parts: [{ text: 'c' }, { text: 'd' }] },
        { role: 'user', parts: [{ text: 'e' }] },
      ],
    },
  },
  'a picture, a sound and a document by their data': {
    chat: {
      messages: [
        user([
          { type: 'text', text: 'Look' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
          { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
          { type: 'input_audio', input_audio: { data: 'SUQz', format: 'mp3' } },
          { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERg==' } },
        ]),
      ],
    },
    google: {
      contents: [
        {
          role: 'user',
          parts: [
            { text: 'Look' },
            { inlineData: { mimeType: 'image/png', data: PNG } },
            { inlineData: { mimeType: 'audio/wav', data: 'UklGRg==' } },
            { inlineData: { mimeType: 'audio/mp3', data: 'SUQz' } },
            { inlineData: { mimeType: 'application/pdf', data: 'JVBERg==' } },
          ],
        },
      ],
    },
  },
  'what Google reads by its URL': {
    chat: {
      messages: [
        user([
          { type: 'file', file: { file_url: 'https://generativelanguage.googleapis.com/v1beta/files/abc' } },
          { type: 'file', file: { file_url: 'https://www.youtube.com/watch?v=9hE5-98ZeCg' } },
          { type: 'image_url', image_url: { url: 'gs://bucket/cat.webp' } },
          { type: 'image_url', image_url: { url: 'gs://bucket/cat' } },
        ]),
      ],
    },
    google: {
      contents: [
        {
          role: 'user',
          parts: [
            { fileData: { fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/abc' } },
            { fileData: { fileUri: 'https://www.youtube.com/watch?v=9hE5-98ZeCg', mimeType: 'video/mp4' } },
            { fileData: { fileUri: 'gs://bucket/cat.webp', mimeType: 'image/webp' } },
            { fileData: { fileUri: 'gs://bucket/cat', mimeType: 'image/jpeg' } },
          ],
        },
      ],
    },
  },
  'pictures that need not be looked at closely': {
    chat: { messages: [user([{ type: 'image_url', image_url: { url: 'gs://b/c.png', detail: 'low' } }])] },
    google: {
      contents: [{ role: 'user', parts: [{ fileData: { fileUri: 'gs://b/c.png', mimeType: 'image/png' } }] }],
      config: { mediaResolution: MediaResolution.MEDIA_RESOLUTION_LOW },
    },
  },
  'tools, with and without parameters': {
    chat: { tools: [WEATHER, TIME] },
    google: {
      ...hi,
      config: {
        tools: [
          {
            functionDeclarations: [
              { name: 'weather', description: 'Tells it.', parametersJsonSchema: SCHEMA },
              { name: 'time' },
            ],
          },
        ],
      },
    },
  },
  'tool_choice auto': {
    chat: { tools: [WEATHER], tool_choice: 'auto' },
    google: { ...hi, config: { tools: DECLARED, toolConfig: { functionCallingConfig: { mode: AUTO } } } },
  },
  'tool_choice auto, where arguments must fit': {
    chat: { tools: [{ ...WEATHER, function: { ...WEATHER.function, strict: true } }], tool_choice: 'auto' },
    google: {
      ...hi,
      config: { tools: DECLARED, toolConfig: { functionCallingConfig: { mode: VALIDATED } } },
    },
  },
  'no tool_choice, where arguments must fit': {
    chat: { tools: [{ ...WEATHER, function: { ...WEATHER.function, strict: true } }] },
    google: {
      ...hi,
      config: { tools: DECLARED, toolConfig: { functionCallingConfig: { mode: VALIDATED } } },
    },
  },
  'tool_choice none': {
    chat: { tools: [WEATHER], tool_choice: 'none' },
    google: { ...hi, config: { tools: DECLARED, toolConfig: { functionCallingConfig: { mode: NONE } } } },
  },
  'tool_choice required': {
    chat: { tools: [WEATHER], tool_choice: 'required' },
    google: { ...hi, config: { tools: DECLARED, toolConfig: { functionCallingConfig: { mode: ANY } } } },
  },
  'a tool by its name': {
    chat: { tools: [WEATHER], tool_choice: { type: 'function', function: { name: 'weather' } } },
    google: {
      ...hi,
      config: {
        tools: DECLARED,
        toolConfig: { functionCallingConfig: { mode: ANY, allowedFunctionNames: ['weather'] } },
      },
    },
  },
  'some of the tools': {
    chat: {
      tools: [WEATHER, TIME],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'weather' } }] },
      },
    },
    google: { ...hi, config: { tools: DECLARED, toolConfig: { functionCallingConfig: { mode: ANY } } } },
  },
  'a tool loop of parallel calls, with their signature and ids': {
    chat: {
      messages: [
        user('Hi'),
        {
          role: 'assistant',
          content: 'Let me see.',
          tool_calls: [
            call('a1b2', 'weather', '{"city":"Oslo"}', signed('U2ln')),
            call('c3d4', 'weather', '{"city":"Rome"}'),
          ],
        },
        { role: 'tool', tool_call_id: 'a1b2', content: 'snow' },
        { role: 'tool', tool_call_id: 'c3d4', content: [{ type: 'text', text: 'no idea' }], is_error: true },
        user('And?'),
      ],
    },
    changes: level,
    google: {
      contents: [
        { role: 'user', parts: [{ text: 'Hi' }] },
        {
          role: 'model',
          parts: [
            { text: 'Let me see.' },
            {
              functionCall: { id: 'a1b2', name: 'weather', args: { city: 'Oslo' } },
              thoughtSignature: 'U2ln',
            },
            { functionCall: { id: 'c3d4', name: 'weather', args: { city: 'Rome' } } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { id: 'a1b2', name: 'weather', response: { output: 'snow' } } },
            { functionResponse: { id: 'c3d4', name: 'weather', response: { error: 'no idea' } } },
            { text: 'And?' },
          ],
        },
      ],
    },
  },
  'calls that another model made': {
    chat: {
      messages: [
        user('Hi'),
        {
          role: 'assistant',
          content: null,
          thinking_blocks: [{ type: 'thinking', thinking: 'Hm.', signature: 'anthropic' }],
          tool_calls: [call('toolu_1', 'time', ''), call('call_abc', 'time', '{}')],
        },
        { role: 'tool', tool_call_id: 'toolu_1', content: '9' },
        { role: 'tool', tool_call_id: 'call_abc', content: '10' },
      ],
    },
    changes: level,
    google: {
      contents: [
        { role: 'user', parts: [{ text: 'Hi' }] },
        {
          role: 'model',
          parts: [
            {
              functionCall: { name: 'time', args: {} },
              thoughtSignature: 'skip_thought_signature_validator',
            },
            { functionCall: { name: 'time', args: {} } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { name: 'time', response: { output: '9' } } },
            { functionResponse: { name: 'time', response: { output: '10' } } },
          ],
        },
      ],
    },
  },
  'a picture that a tool gave': {
    chat: {
      messages: [
        user('Hi'),
        { role: 'assistant', content: null, tool_calls: [call('x', 'shot', '{}', signed('U2ln'))] },
        {
          role: 'tool',
          tool_call_id: 'x',
          content: [{ type: 'image_url', image_url: { url: `data:image/jpg;base64,${PNG}` } }],
        },
      ],
    },
    changes: level,
    google: {
      contents: [
        { role: 'user', parts: [{ text: 'Hi' }] },
        {
          role: 'model',
          parts: [{ functionCall: { id: 'x', name: 'shot', args: {} }, thoughtSignature: 'U2ln' }],
        },
        {
          role: 'user',
          parts: [
            {
              functionResponse: {
                id: 'x',
                name: 'shot',
                response: { output: '' },
                parts: [{ inlineData: { mimeType: 'image/jpeg', data: PNG } }],
              },
            },
          ],
        },
      ],
    },
  },
  'a signature of a text': {
    chat: {
      messages: [user('Hi'), { role: 'assistant', content: 'Hello.', ...signed('VGV4dA==') }, user('Well?')],
    },
    google: {
      contents: [
        { role: 'user', parts: [{ text: 'Hi' }] },
        { role: 'model', parts: [{ text: 'Hello.', thoughtSignature: 'VGV4dA==' }] },
        { role: 'user', parts: [{ text: 'Well?' }] },
      ],
    },
  },
  'an answer that was begun': {
    chat: { messages: [user('Hi'), { role: 'assistant', content: 'Hel' }] },
    changes: { capabilities: { prefill: true } },
    google: {
      contents: [
        { role: 'user', parts: [{ text: 'Hi' }] },
        { role: 'model', parts: [{ text: 'Hel' }] },
      ],
    },
  },
  'sampling, stops, seed, penalties, limits and choices': {
    chat: {
      temperature: 1.5,
      top_p: 0.9,
      top_k: 40,
      max_completion_tokens: 100,
      max_tokens: 7,
      stop: ['a', 'b'],
      seed: 7,
      presence_penalty: 0.5,
      frequency_penalty: -0.5,
      n: 2,
      logprobs: true,
      top_logprobs: 3,
    },
    google: {
      ...hi,
      config: {
        temperature: 1.5,
        topP: 0.9,
        topK: 40,
        maxOutputTokens: 100,
        stopSequences: ['a', 'b'],
        seed: 7,
        presencePenalty: 0.5,
        frequencyPenalty: -0.5,
        candidateCount: 2,
        responseLogprobs: true,
        logprobs: 3,
      },
    },
  },
  'one stop, as a text, and max_tokens': {
    chat: { stop: 'end', max_tokens: 7 },
    google: { ...hi, config: { stopSequences: ['end'], maxOutputTokens: 7 } },
  },
  'JSON of any form': {
    chat: { response_format: { type: 'json_object' } },
    google: { ...hi, config: { responseMimeType: 'application/json' } },
  },
  'JSON by a schema': {
    chat: {
      response_format: { type: 'json_schema', json_schema: { name: 'place', schema: SCHEMA, strict: true } },
    },
    google: { ...hi, config: { responseMimeType: 'application/json', responseJsonSchema: SCHEMA } },
  },
  'the priority tier': {
    chat: { service_tier: 'priority' },
    google: { ...hi, config: { serviceTier: ServiceTier.PRIORITY } },
  },
  'the flex tier': {
    chat: { service_tier: 'flex' },
    google: { ...hi, config: { serviceTier: ServiceTier.FLEX } },
  },
  'the default tier': {
    chat: { service_tier: 'default' },
    google: { ...hi, config: { serviceTier: ServiceTier.STANDARD } },
  },
  'whichever tier': { chat: { service_tier: 'auto' }, google: hi },
  ...efforts({
    none: ThinkingLevel.MINIMAL,
    minimal: ThinkingLevel.MINIMAL,
    low: ThinkingLevel.LOW,
    medium: ThinkingLevel.MEDIUM,
    high: ThinkingLevel.HIGH,
    xhigh: ThinkingLevel.HIGH,
    max: ThinkingLevel.HIGH,
  }),
  ...efforts({ none: 0, minimal: 1024, low: 1024, medium: 8192, high: 24_576, xhigh: 24_576, max: 24_576 }),
};

function efforts(wanted: Record<string, ThinkingLevel | number>): Record<string, Row> {
  const rows = Object.entries(wanted).map(([effort, what]): [string, Row] => {
    const isLevel = typeof what !== 'number';
    const thinkingConfig = {
      ...(isLevel ? { thinkingLevel: what } : { thinkingBudget: what }),
      includeThoughts: effort !== 'none',
    };
    return [
      `an effort of ${effort} as a ${isLevel ? 'level' : 'budget'}`,
      {
        chat: { reasoning_effort: effort },
        changes: isLevel ? level : budget,
        google: { ...hi, config: { thinkingConfig } },
      },
    ];
  });
  return Object.fromEntries(rows);
}

describe("what is sent to Gemini is what Google's SDK sends", () => {
  for (const [name, { chat, google, changes }] of Object.entries(ROWS)) {
    it(`for ${name}`, async (t) => {
      const sdk = await recorder(
        t,
        (baseUrl) => new GoogleGenAI({ apiKey: 'k', apiVersion: 'v1beta', httpOptions: { baseUrl } }),
      );
      const prepared = prepare(chat, changes);
      const expected = await sdk.generate({ model: 'target-model', ...google });
      assert.deepEqual(sentJson(prepared), expected.body);
      assert.equal(prepared.path, expected.path);
      assert.deepEqual(prepared.dropped, []);
      assert.deepEqual(prepared.headers, []);
    });
  }

  it('for a stream', async (t) => {
    const sdk = await recorder(
      t,
      (baseUrl) => new GoogleGenAI({ apiKey: 'k', apiVersion: 'v1beta', httpOptions: { baseUrl } }),
    );
    const prepared = prepare({}, { streaming: true });
    const expected = await sdk.stream({ model: 'target-model', ...hi });
    assert.deepEqual(sentJson(prepared), expected.body);
    assert.equal(prepared.path, expected.path);
  });
});
