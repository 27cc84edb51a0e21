/** A LiteLLM 1.106 as an upstream: what it wrote (of money, what it is known to put together), and the row of the table that it belongs to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FailureKind } from '../../src/core/outcome.ts';
import { readFailure } from '../../src/providers/failure.ts';

interface Written {
  what: string;
  status: number;
  error: { message: string; type: string };
  kind: FailureKind;
}

const CASES: Written[] = [
  {
    what: 'a key of its own that its provider refuses',
    status: 401,
    error: {
      message:
        "litellm.AuthenticationError: AuthenticationError: OpenAIException - Incorrect API key provided: x.\n\nLiteLLM: model group 'fail401' failed with the error above. No fallback was attempted.",
      type: 'authentication_error',
    },
    // Only that model is concerned: our key to the gateway is in order.
    kind: 'target_misconfigured',
  },
  {
    what: 'our key, where it knows it and does not take it',
    status: 401,
    error: {
      message:
        'Authentication Error, Invalid proxy server token passed. Unable to find token in cache or `LiteLLM_VerificationTokenTable`',
      type: 'token_not_found_in_db',
    },
    kind: 'credentials_refused',
  },
  {
    what: 'our key, where it has no database to look it up in',
    status: 400,
    error: { message: 'No connected db.', type: 'no_db_connection' },
    kind: 'target_misconfigured',
  },
  {
    what: 'a model that it does not have',
    status: 400,
    error: {
      message:
        '/chat/completions: Invalid model name passed in model=nosuch. Call `/v1/models` to view available models for your key.',
      type: 'invalid_request_error',
    },
    kind: 'target_misconfigured',
  },
  {
    what: 'a budget of our key that is spent',
    status: 422,
    error: {
      message: 'Budget has been exceeded! Current cost: 0.02, Max budget: 0.01',
      type: 'budget_exceeded',
    },
    kind: 'out_of_credit',
  },
  {
    what: 'money that is gone at its provider',
    status: 429,
    error: {
      message:
        'litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota. insufficient_quota',
      type: 'throttling_error',
    },
    kind: 'target_misconfigured',
  },
  {
    what: 'a balance that is too low there',
    status: 400,
    error: {
      message:
        'litellm.BadRequestError: AnthropicException - Your credit balance is too low to access the API',
      type: 'invalid_request_error',
    },
    kind: 'target_misconfigured',
  },
  {
    what: 'a prompt that is too long, in words of its own',
    status: 400,
    error: {
      message:
        "litellm.ContextWindowExceededError: litellm.BadRequestError: this is a mock context window exceeded error\nmodel=ctx. context_window_fallbacks=None. fallbacks=None.\n\nSet 'context_window_fallback' - https://docs.litellm.ai/docs/routing#fallbacks",
      type: 'invalid_request_error',
    },
    kind: 'context_too_long',
  },
  {
    what: "a prompt that is too long, in its provider's words",
    status: 400,
    error: {
      message:
        'litellm.BadRequestError: OpenAIException - Your input exceeds the context window of this model.',
      type: 'invalid_request_error',
    },
    kind: 'context_too_long',
  },
  {
    what: 'a rate limit of its provider',
    status: 429,
    error: {
      message: 'litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached',
      type: 'throttling_error',
    },
    kind: 'rate_limited',
  },
];

describe('An error of another gateway', () => {
  for (const { what, status, error, kind } of CASES)
    it(`about ${what} is ${kind.replaceAll('_', ' ')}`, () => {
      const text = JSON.stringify({ error: { ...error, param: null, code: String(status) } });
      const failure = readFailure({ status, headers: {}, text, wallMs: 0 }, (words) => words);
      assert.equal(failure.kind, kind);
    });

  it("does not cost us a key because of what it quotes of a client's", () => {
    const quoted = `Invalid 'user': 'budget_exceeded litellm.AuthenticationError'`;
    const text = JSON.stringify({ error: { message: quoted, type: 'invalid_request_error', code: '422' } });
    assert.equal(
      readFailure({ status: 422, headers: {}, text, wallMs: 0 }, (words) => words).kind,
      'invalid_request',
    );
  });
});
