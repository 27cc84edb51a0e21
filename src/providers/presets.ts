/** Where a host's dialect differs from OpenAI's. */
export interface HostQuirks {
  /**
   * How the host comes to report the usage of a stream. `ask`: only if `stream_options.include_usage` asks for it;
   * `always`: unasked, and it refuses or ignores `stream_options`, which is then not sent.
   */
  streamUsage: 'ask' | 'always';
}

/** What is known of a host that speaks OpenAI's chat completions. */
export interface HostPreset {
  /** Without a trailing slash. `/chat/completions` follows. */
  baseUrl: string;
  /** False for hosts that one runs oneself, which take any key or none. */
  needsKey: boolean;
  quirks: HostQuirks;
}

const OPENAI_LIKE: HostQuirks = { streamUsage: 'ask' };

/** The hosts that speak OpenAI's dialect, by the word after `adapter:`. A new one is one entry. */
export const HOST_PRESETS = {
  openai: { baseUrl: 'https://api.openai.com/v1', needsKey: true, quirks: OPENAI_LIKE },
  deepseek: { baseUrl: 'https://api.deepseek.com', needsKey: true, quirks: OPENAI_LIKE },
  groq: { baseUrl: 'https://api.groq.com/openai/v1', needsKey: true, quirks: OPENAI_LIKE },
  // Users of its API report that `stream_options` is answered 422 "Extra inputs are not permitted", and that usage comes unasked.
  mistral: { baseUrl: 'https://api.mistral.ai/v1', needsKey: true, quirks: { streamUsage: 'always' } },
  together: { baseUrl: 'https://api.together.xyz/v1', needsKey: true, quirks: OPENAI_LIKE },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', needsKey: true, quirks: OPENAI_LIKE },
  xai: { baseUrl: 'https://api.x.ai/v1', needsKey: true, quirks: OPENAI_LIKE },
  ollama: { baseUrl: 'http://localhost:11434/v1', needsKey: false, quirks: OPENAI_LIKE },
  vllm: { baseUrl: 'http://localhost:8000/v1', needsKey: false, quirks: OPENAI_LIKE },
} as const satisfies Record<string, HostPreset>;

export type HostName = keyof typeof HOST_PRESETS;
