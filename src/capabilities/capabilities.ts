/** How hard a model is to think, in the order of OpenAI's `reasoning_effort`. */
export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
export type Effort = (typeof EFFORTS)[number];

/**
 * How an Anthropic model is told to think.
 * - `adaptive`: `thinking: {type: adaptive}` with an effort (4.6 and later)
 * - `budget`: `thinking: {type: enabled, budget_tokens}` (4.5 and earlier)
 * - `none`: it does not think
 */
export const THINKING_MODES = ['adaptive', 'budget', 'none'] as const;
export type ThinkingMode = (typeof THINKING_MODES)[number];

/**
 * What `reasoning_effort: none` becomes there. `disabled`: `thinking: {type: disabled}`; `low_effort`: the same, but only with an effort of `high` or below;
 * `between_tools`: that word; `omit`: it cannot be turned off.
 */
export const THINKING_OFF = ['disabled', 'low_effort', 'between_tools', 'omit'] as const;
export type ThinkingOff = (typeof THINKING_OFF)[number];

/** What a model may read besides text. */
export const INPUTS = ['image', 'audio', 'file'] as const;
export type InputKind = (typeof INPUTS)[number];

/** What is known of a model. Where nothing is known of a point, it is assumed to be able to, or `null`: unknown. */
export interface ModelCapabilities {
  /**
   * Parameters that it refuses, by OpenAI's names, with `top_k` beside them: `temperature`, `top_p`, `top_k`, `presence_penalty`, `frequency_penalty`,
   * `logprobs`, `top_logprobs`, `seed`, `stop`, `parallel_tool_calls`, `logit_bias`, `service_tier`, `verbosity` …
   */
  refuses: ReadonlySet<string>;
  /** Of those, what it takes all the same at `reasoning_effort: none`. */
  takesAtNoEffort: ReadonlySet<string>;
  /** `tool_choice` may be `required` or name a tool. */
  forcedTools: boolean;
  /** It goes on from a trailing assistant message. */
  prefill: boolean;
  /** A system message may stand later in the conversation. */
  laterSystem: boolean;
  /** The efforts that it takes, in their order; null = unknown, all are sent. Of Claude's, `none` is not among them: see `thinkingOff`. */
  efforts: readonly Effort[] | null;
  /** The effort where none is said; null = unknown. What `takesAtNoEffort` names is taken without an effort too, if this is `none`. */
  defaultEffort: Effort | null;
  /** OpenAI's hosts: with tools, chat completions take no effort but `none`, and it must be said. */
  toolsOnlyAtNoEffort: boolean;
  /** OpenAI's hosts: `max_tokens` is refused, `max_completion_tokens` stands for it. */
  maxCompletionTokens: boolean;
  thinking: ThinkingMode | null;
  thinkingOff: ThinkingOff;
  /** Google's: `thinkingLevel` (3 and later) or `thinkingBudget` (2.5). */
  thinkingConfig: 'level' | 'budget' | null;
  /** It answers in JSON by a schema of ours. */
  jsonSchema: boolean;
  /** What it reads besides text; null = unknown, all is sent. */
  input: ReadonlySet<InputKind> | null;
  /** Tokens of prompt and answer together; null = unknown. */
  context: number | null;
  /** Tokens that an answer may have; null = unknown. */
  maxOutput: number | null;
}

export const NOTHING_KNOWN: ModelCapabilities = {
  refuses: new Set(),
  takesAtNoEffort: new Set(),
  forcedTools: true,
  prefill: false,
  laterSystem: false,
  efforts: null,
  defaultEffort: null,
  toolsOnlyAtNoEffort: false,
  maxCompletionTokens: false,
  thinking: null,
  thinkingOff: 'disabled',
  thinkingConfig: null,
  jsonSchema: true,
  input: null,
  context: null,
  maxOutput: null,
};
