/** Streams as Azure writes them: what its filters say comes first, beside and behind what the model says. */
const SAFE = {
  hate: { filtered: false, severity: 'safe' },
  self_harm: { filtered: false, severity: 'safe' },
  sexual: { filtered: false, severity: 'safe' },
  violence: { filtered: false, severity: 'safe' },
};

const head = {
  id: 'chatcmpl-Bq1',
  object: 'chat.completion.chunk',
  created: 1_795_219_200,
  model: 'gpt-6-sol-2026-09-01',
  system_fingerprint: 'fp_44a1',
};

/** The chunk that it begins with, of nothing. */
export const PROMPT_FILTER = {
  choices: [],
  created: 0,
  id: '',
  model: '',
  object: '',
  prompt_filter_results: [
    { prompt_index: 0, content_filter_results: { ...SAFE, jailbreak: { filtered: false, detected: false } } },
  ],
};

const chunk = (delta: object, finish: string | null = null, more: object = {}) => ({
  choices: [{ content_filter_results: {}, delta, finish_reason: finish, index: 0, logprobs: null, ...more }],
  ...head,
  usage: null,
});

/** What an asynchronous filter says later on of what has been sent: without a delta, an id or a model. */
export const ASYNC_FILTER = {
  id: '',
  object: '',
  created: 0,
  model: '',
  choices: [
    {
      index: 0,
      finish_reason: null,
      content_filter_results: SAFE,
      content_filter_offsets: { check_offset: 44, start_offset: 44, end_offset: 198 },
    },
  ],
  usage: null,
};

export const USAGE = {
  choices: [],
  ...head,
  usage: {
    completion_tokens: 20,
    completion_tokens_details: {
      accepted_prediction_tokens: 0,
      audio_tokens: 0,
      reasoning_tokens: 8,
      rejected_prediction_tokens: 0,
    },
    prompt_tokens: 75,
    prompt_tokens_details: { audio_tokens: 0, cached_tokens: 64 },
    total_tokens: 95,
  },
};

/** A text, with both kinds of filter. */
export const TEXT = [
  PROMPT_FILTER,
  chunk({ content: '', refusal: null, role: 'assistant' }),
  chunk({ content: 'Grüße' }, null, { content_filter_results: SAFE }),
  ASYNC_FILTER,
  chunk({ content: ' aus Ulm.' }),
  chunk({}, 'stop'),
  {
    ...ASYNC_FILTER,
    choices: [
      {
        ...ASYNC_FILTER.choices[0],
        content_filter_offsets: { check_offset: 198, start_offset: 198, end_offset: 230 },
      },
    ],
  },
  USAGE,
];

/** Two calls at once. */
export const CALLS = [
  PROMPT_FILTER,
  chunk({
    content: null,
    role: 'assistant',
    tool_calls: [{ function: { arguments: '', name: 'weather' }, id: 'call_A', index: 0, type: 'function' }],
  }),
  chunk({ tool_calls: [{ function: { arguments: '{"city":' }, index: 0 }] }),
  ASYNC_FILTER,
  chunk({ tool_calls: [{ function: { arguments: '"Ulm"}' }, index: 0 }] }),
  chunk({
    tool_calls: [{ function: { arguments: '', name: 'time' }, id: 'call_B', index: 1, type: 'function' }],
  }),
  chunk({ tool_calls: [{ function: { arguments: '{}' }, index: 1 }] }),
  chunk({}, 'tool_calls'),
  USAGE,
];

/** The filter stopped it half way. */
export const FILTERED = [
  PROMPT_FILTER,
  chunk({ content: 'Take a', role: 'assistant' }),
  chunk({}, 'content_filter', {
    content_filter_results: { ...SAFE, violence: { filtered: true, severity: 'medium' } },
  }),
];

/** The asynchronous filter's own way to stop it: an error in place of a chunk. */
export const FILTER_ERROR = [
  PROMPT_FILTER,
  chunk({ content: 'Take a', role: 'assistant' }),
  {
    error: {
      message: 'The response was filtered.',
      type: null,
      param: null,
      code: 'content_filter',
      status: 400,
      innererror: { code: 'ResponsibleAIPolicyViolation', content_filter_result: SAFE },
    },
  },
];

/** As it goes over the wire. */
export function wire(events: readonly object[]): string {
  return `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;
}
