import type { Dialect } from './adapter.ts';

/** Where a host's dialect differs from OpenAI's. */
export interface HostQuirks {
  /**
   * How the host comes to report the usage of a stream. `ask`: only if `stream_options.include_usage` asks for it;
   * `always`: unasked, and it refuses or ignores `stream_options`, which is then not sent.
   */
  streamUsage: 'ask' | 'always';
  /** Members of messages that it refuses or can do nothing with, wherever they came from: they are left out. */
  leavesOut: ReadonlySet<string>;
  /** It also refuses what OpenAI's answers have and its requests need not: `refusal`, `annotations`, and nulls. */
  closedMessages: boolean;
  /**
   * How it is handed back what a model thought, if at all. `reasoning_content`, `reasoning`: as a text of that name; `reasoning_details`:
   * as OpenRouter's list, which holds signatures too.
   */
  reasoning: 'reasoning_content' | 'reasoning' | 'reasoning_details' | null;
  /** It refuses a conversation with tool calls in which an assistant's message is without its reasoning. */
  needsReasoning: boolean;
  /** It knows the role `developer`; elsewhere that is `system`. */
  developerRole: boolean;
  /** What it calls the most that an answer may have. `both`: as the client calls it. */
  maxTokens: 'both' | 'max_tokens';
  /** What it calls `seed`. */
  seed: 'seed' | 'random_seed';
  /** With tools, some of OpenAI's models think in its responses only; a host that passes them on may see to that itself. */
  toolsTrap: boolean;
  /** Parameters that it refuses, whatever the model; by OpenAI's names. */
  refuses: ReadonlySet<string>;
  /**
   * How it is told that the last message is the beginning of the answer. `place`: by nothing but that; `prefix`: by that member of the message;
   * `parameters`: by vLLM's.
   */
  goesOnBy: 'place' | 'prefix' | 'parameters';
  /** Where it is asked for that, if not by its usual path; at its own base URL only. */
  goesOnAt?: string;
  /** What it then answers begins with what it was given. */
  echoes?: true;
}

/** What is known of a host that speaks OpenAI's dialects. */
export interface HostPreset {
  /** Without a trailing slash. `/chat/completions` follows. */
  baseUrl: string;
  /** False for hosts that one runs oneself, which take any key or none. */
  needsKey: boolean;
  /** What it takes as it is. Only what its own documentation describes: a dialect that is left out is translated or goes elsewhere. */
  speaks: readonly Dialect[];
  quirks: HostQuirks;
  /** At another host that a `base_url` names, if that is not known to be the same. */
  quirksElsewhere?: HostQuirks;
}

/** What our answers and those of other hosts have beyond OpenAI's own members: see `chat/extensions.ts`. */
const MARKS = ['thinking_blocks', 'extra_content', 'cache_control', 'is_error'];
const REASONING = ['reasoning_content', 'reasoning', 'reasoning_details'];

/** Takes all that is OpenAI's, and no member of a message that is not. */
const OPENAI: HostQuirks = {
  streamUsage: 'ask',
  leavesOut: new Set([...MARKS, ...REASONING]),
  closedMessages: false,
  reasoning: null,
  needsReasoning: false,
  developerRole: true,
  maxTokens: 'both',
  seed: 'seed',
  toolsTrap: true,
  refuses: new Set(),
  goesOnBy: 'place',
};

/** Reads over members that it does not know. */
const LENIENT: HostQuirks = {
  ...OPENAI,
  leavesOut: new Set(),
  reasoning: 'reasoning_content',
  developerRole: false,
  toolsTrap: false,
};

/** OpenAI's, and Azure's of its models. */
export const OPENAI_QUIRKS: HostQuirks = OPENAI;

/** The hosts that speak OpenAI's dialect, by the word after `adapter:`. A new one is one entry. */
export const HOST_PRESETS = {
  openai: {
    baseUrl: 'https://api.openai.com/v1',
    needsKey: true,
    speaks: ['chat', 'responses', 'embeddings'],
    quirks: OPENAI,
    // Many a host calls itself compatible, and some want back what OpenAI refuses. Only what is nobody's but ours is left out.
    quirksElsewhere: { ...OPENAI, leavesOut: new Set(['thinking_blocks', 'is_error']) },
  },
  // It knows `max_tokens` alone, and answers a tool loop in which a turn came without its thoughts with 400
  // "The `reasoning_content` in the thinking mode must be passed back to the API."
  deepseek: {
    baseUrl: 'https://api.deepseek.com',
    needsKey: true,
    speaks: ['chat'],
    quirks: {
      ...LENIENT,
      leavesOut: new Set([...MARKS, 'reasoning', 'reasoning_details']),
      needsReasoning: true,
      maxTokens: 'max_tokens',
      // DeepSeek's page on chat prefix completion, a part of its beta.
      goesOnBy: 'prefix',
      goesOnAt: '/beta/chat/completions',
    },
  },
  // "property 'reasoning_content' is unsupported", and the same of all that an assistant's message cannot have. `reasoning` is its own name,
  // which only some of its models take back. The parameters are those that its documentation names.
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    needsKey: true,
    speaks: ['chat'],
    quirks: {
      ...OPENAI,
      leavesOut: new Set([...MARKS, 'reasoning_content', 'reasoning_details']),
      closedMessages: true,
      developerRole: false,
      refuses: new Set(['n', 'logprobs', 'top_logprobs', 'logit_bias']),
    },
  },
  // Its schema is closed: users of its API report 422 "Extra inputs are not permitted" for `stream_options` (usage comes unasked),
  // `max_completion_tokens` and whatever is not in its reference.
  mistral: {
    baseUrl: 'https://api.mistral.ai/v1',
    needsKey: true,
    speaks: ['chat', 'embeddings'],
    quirks: {
      ...OPENAI,
      streamUsage: 'always',
      closedMessages: true,
      developerRole: false,
      maxTokens: 'max_tokens',
      seed: 'random_seed',
      goesOnBy: 'prefix',
      echoes: true,
      refuses: new Set([
        'logit_bias',
        'logprobs',
        'top_logprobs',
        'user',
        'safety_identifier',
        'store',
        'service_tier',
        'verbosity',
        'prompt_cache_retention',
        'prompt_cache_options',
      ]),
    },
  },
  together: {
    baseUrl: 'https://api.together.xyz/v1',
    needsKey: true,
    speaks: ['chat', 'embeddings'],
    quirks: {
      ...LENIENT,
      leavesOut: new Set([...MARKS, 'reasoning_content', 'reasoning_details']),
      reasoning: 'reasoning',
    },
  },
  // Takes markers for caches as Anthropic does, and hands signed thoughts on to models that sign.
  openrouter: {
    baseUrl: 'https://openrouter.ai/api/v1',
    needsKey: true,
    speaks: ['chat', 'embeddings'],
    quirks: {
      ...LENIENT,
      leavesOut: new Set(['thinking_blocks', 'extra_content', 'is_error']),
      reasoning: 'reasoning_details',
      developerRole: true,
    },
  },
  xai: {
    baseUrl: 'https://api.x.ai/v1',
    needsKey: true,
    speaks: ['chat', 'responses'],
    quirks: {
      ...LENIENT,
      leavesOut: new Set([...MARKS, 'reasoning', 'reasoning_details']),
      developerRole: true,
    },
  },
  ollama: {
    baseUrl: 'http://localhost:11434/v1',
    needsKey: false,
    speaks: ['chat', 'embeddings'],
    quirks: { ...LENIENT, reasoning: 'reasoning' },
  },
  vllm: {
    baseUrl: 'http://localhost:8000/v1',
    needsKey: false,
    speaks: ['chat', 'embeddings'],
    quirks: { ...LENIENT, goesOnBy: 'parameters' },
  },
} as const satisfies Record<string, HostPreset>;

export type HostName = keyof typeof HOST_PRESETS;
