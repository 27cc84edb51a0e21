import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { type FailureKind, OUTCOME_RULES } from '../../src/core/outcome.ts';
import { makeRedact } from '../../src/core/redact.ts';
import { readFailure, readInBandError } from '../../src/providers/failure.ts';
import type { WireHeaders } from '../../src/providers/retry-after.ts';

const NOW = Date.UTC(2026, 10, 22, 9);
const unredacted = (text: string) => text;

/** An answer in a provider's own words, the outcome it is, and the wait that it asks for, in milliseconds. */
type Case = [
  name: string,
  status: number,
  body: object | string,
  kind: FailureKind,
  more?: { headers?: WireHeaders; wait?: number },
];

function read(status: number, body: object | string, headers: WireHeaders = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readFailure({ status, headers, text, wallMs: NOW }, unredacted);
}

const anthropic = (type: string, message: string, details?: JsonObject): JsonObject => ({
  type: 'error',
  error: { type, message, ...(details && { details }) },
  request_id: 'req_011',
});

const google = (code: number, status: string, message: string, ...details: JsonObject[]): JsonObject => ({
  error: { code, message, status, ...(details.length > 0 && { details }) },
});
const errorInfo = (reason: string) => ({
  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
  reason,
  domain: 'googleapis.com',
});
const retryInfo = (retryDelay: string) => ({
  '@type': 'type.googleapis.com/google.rpc.RetryInfo',
  retryDelay,
});
const quotaFailure = (...quotaIds: string[]) => ({
  '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
  violations: quotaIds.map((quotaId) => ({
    quotaMetric: 'generativelanguage.googleapis.com/generate_content_free_tier_requests',
    quotaId,
    quotaDimensions: { model: 'gemini-4-argon', location: 'global' },
    quotaValue: '20',
  })),
});

const aws = (name: string) => ({ headers: { 'x-amzn-errortype': name, 'x-amzn-requestid': 'r' } });

const CASES: Record<string, Case[]> = {
  Anthropic: [
    [
      'a bad request',
      400,
      anthropic('invalid_request_error', 'messages.0.content: Field required'),
      'invalid_request',
    ],
    [
      'a long prompt',
      400,
      anthropic('invalid_request_error', 'prompt is too long: 205000 tokens > 200000 maximum'),
      'context_too_long',
    ],
    [
      'a long prompt with its answer',
      400,
      anthropic(
        'invalid_request_error',
        'input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000',
      ),
      'context_too_long',
    ],
    [
      'a spend limit',
      400,
      anthropic('invalid_request_error', 'You have reached your specified API spend limits.'),
      'out_of_credit',
    ],
    [
      'a spend limit of the organization',
      400,
      anthropic(
        'invalid_request_error',
        'You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.',
      ),
      'out_of_credit',
    ],
    [
      'a spend limit of the workspace',
      400,
      anthropic(
        'invalid_request_error',
        'You have reached your specified workspace API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.',
      ),
      'out_of_credit',
    ],
    [
      'a spend limit of the tier',
      429,
      anthropic(
        'rate_limit_error',
        'You have reached your API usage limits: your organization has crossed its monthly API usage threshold.',
      ),
      'out_of_credit',
    ],
    [
      'a workspace without a bill',
      400,
      anthropic('invalid_request_error', 'Workspace wrkspc_01 is not set up for billing.'),
      'out_of_credit',
    ],
    [
      'an organization that is disabled',
      400,
      anthropic('invalid_request_error', 'This organization has been disabled.'),
      'target_misconfigured',
    ],
    [
      'a low balance',
      400,
      anthropic('invalid_request_error', 'Your credit balance is too low to access the API.'),
      'out_of_credit',
    ],
    [
      'an organization on hold',
      400,
      anthropic('invalid_request_error', 'Your organization has been put on hold.'),
      'target_misconfigured',
    ],
    [
      'a filtered answer',
      400,
      anthropic('invalid_request_error', 'Output blocked by content filtering policy'),
      'content_filtered',
    ],
    ['a wrong key', 401, anthropic('authentication_error', 'invalid x-api-key'), 'credentials_refused'],
    ['a bill', 402, anthropic('billing_error', 'Payment required'), 'out_of_credit'],
    [
      'no permission',
      403,
      anthropic('permission_error', 'Your API key does not have permission'),
      'credentials_refused',
    ],
    ['an unknown model', 404, anthropic('not_found_error', 'model: claude-9'), 'target_misconfigured'],
    ['a conflict', 409, anthropic('conflict_error', 'The resource was changed'), 'server_error'],
    [
      'a large body',
      413,
      anthropic('request_too_large', 'Request exceeds the maximum size'),
      'invalid_request',
    ],
    [
      'a rate limit',
      429,
      anthropic('rate_limit_error', 'This request would exceed your rate limit of 50 requests per minute'),
      'rate_limited',
      { headers: { 'retry-after': '17' }, wait: 17_000 },
    ],
    [
      'a rate limit that says when it fills up',
      429,
      anthropic('rate_limit_error', 'Too many input tokens'),
      'rate_limited',
      {
        headers: {
          'anthropic-ratelimit-requests-remaining': '49',
          'anthropic-ratelimit-requests-reset': '2026-11-22T10:00:00Z',
          'anthropic-ratelimit-input-tokens-remaining': '0',
          'anthropic-ratelimit-input-tokens-reset': '2026-11-22T09:00:12Z',
        },
        wait: 12_000,
      },
    ],
    [
      'an enforced limit of what may be spent',
      429,
      anthropic('rate_limit_error', 'Limit reached', { error_code: 'enforced_spend_limit_reached' }),
      'out_of_credit',
    ],
    [
      "a contract's limit",
      429,
      anthropic('rate_limit_error', 'Limit reached', { error_code: 'contract_spend_limit_reached' }),
      'out_of_credit',
    ],
    [
      'the same limit with 400',
      400,
      anthropic('invalid_request_error', 'Limit reached', { error_code: 'enforced_spend_limit_reached' }),
      'out_of_credit',
    ],
    ['a fault of its own', 500, anthropic('api_error', 'Internal server error'), 'server_error'],
    ['an outage', 503, anthropic('api_error', 'Service unavailable'), 'overloaded'],
    ['a timeout', 504, anthropic('timeout_error', 'Request timed out'), 'server_error'],
    ['overload', 529, anthropic('overloaded_error', 'Overloaded'), 'overloaded'],
  ],
  Bedrock: [
    [
      'a bad request',
      400,
      { message: 'Malformed input request' },
      'invalid_request',
      aws('ValidationException:http://internal.amazon.com/coral/'),
    ],
    [
      'a long prompt',
      400,
      { message: 'Input is too long for requested model.' },
      'context_too_long',
      aws('ValidationException'),
    ],
    [
      'a model that wants a profile',
      400,
      {
        message:
          'Invocation of model ID x with on-demand throughput isn’t supported. Retry your request with the ID of an inference profile.',
      },
      'target_misconfigured',
      aws('ValidationException'),
    ],
    [
      'a model that there is not',
      400,
      { message: 'The provided model identifier is invalid.' },
      'target_misconfigured',
      aws('ValidationException'),
    ],
    [
      'an account that may not',
      400,
      { message: 'Operation not allowed' },
      'target_misconfigured',
      aws('ValidationException'),
    ],
    [
      'a used up quota',
      400,
      { message: 'You have exceeded the quota' },
      'out_of_credit',
      aws('ServiceQuotaExceededException'),
    ],
    [
      'no access',
      403,
      { Message: 'User: arn:aws:iam::1:user/x is not authorized' },
      'credentials_refused',
      aws('AccessDeniedException'),
    ],
    [
      'an old token',
      403,
      { message: 'The security token included in the request is expired' },
      'credentials_refused',
      aws('ExpiredTokenException'),
    ],
    [
      'a wrong signature',
      403,
      { message: 'The request signature we calculated does not match' },
      'credentials_refused',
      aws('InvalidSignatureException'),
    ],
    [
      'an unknown model',
      404,
      { message: 'Could not resolve the foundation model' },
      'target_misconfigured',
      aws('ResourceNotFoundException'),
    ],
    [
      'an unknown path',
      404,
      '{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}',
      'target_misconfigured',
    ],
    [
      'a slow model',
      408,
      { message: 'The model took too long' },
      'server_error',
      aws('ModelTimeoutException'),
    ],
    [
      'a failing model',
      424,
      { message: 'The model returned an error', originalStatusCode: 500 },
      'server_error',
      aws('ModelErrorException'),
    ],
    [
      'throttling',
      429,
      { message: 'Too many requests, please wait before trying again.' },
      'rate_limited',
      aws('ThrottlingException'),
    ],
    [
      'throttling of tokens',
      429,
      { message: 'Too many tokens, please wait before trying again.' },
      'rate_limited',
      aws('ThrottlingException'),
    ],
    [
      'throttling of a day',
      429,
      { message: 'Too many tokens per day, please wait before trying again.' },
      'out_of_credit',
      aws('ThrottlingException'),
    ],
    ['a cold model', 429, { message: 'Model is not ready' }, 'rate_limited', aws('ModelNotReadyException')],
    [
      'a fault of its own',
      500,
      { message: 'The system encountered an unexpected error' },
      'server_error',
      aws('InternalServerException'),
    ],
    [
      'an outage',
      503,
      { message: 'Bedrock is unable to process your request.' },
      'overloaded',
      aws('ServiceUnavailableException'),
    ],
  ],
  Google: [
    [
      'a bad request',
      400,
      google(400, 'INVALID_ARGUMENT', 'Invalid JSON payload received.'),
      'invalid_request',
    ],
    [
      'the same in a list',
      400,
      [google(400, 'INVALID_ARGUMENT', 'Invalid JSON payload received.')],
      'invalid_request',
    ],
    [
      'a long prompt',
      400,
      google(
        400,
        'INVALID_ARGUMENT',
        'The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).',
      ),
      'context_too_long',
    ],
    [
      'a wrong key',
      400,
      google(400, 'INVALID_ARGUMENT', 'No.', errorInfo('API_KEY_INVALID')),
      'target_misconfigured',
    ],
    [
      'an old key',
      400,
      google(400, 'INVALID_ARGUMENT', 'API key expired. Please renew the API key.'),
      'target_misconfigured',
    ],
    [
      'a country',
      400,
      google(400, 'FAILED_PRECONDITION', 'User location is not supported for the API use.'),
      'target_misconfigured',
    ],
    [
      'no token',
      401,
      google(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.'),
      'credentials_refused',
    ],
    [
      'a bill',
      402,
      google(402, 'RESOURCE_EXHAUSTED', 'Your prepayment credits are depleted.'),
      'out_of_credit',
    ],
    [
      'no permission',
      403,
      google(403, 'PERMISSION_DENIED', 'Permission denied on resource project x.'),
      'credentials_refused',
    ],
    [
      "the client's file",
      403,
      google(
        403,
        'PERMISSION_DENIED',
        'You do not have permission to access the File abc or it may not exist.',
      ),
      'invalid_request',
    ],
    [
      'an unknown model',
      404,
      google(404, 'NOT_FOUND', 'models/gemini-9 is not found for API version v1'),
      'target_misconfigured',
    ],
    [
      'an unknown model of Vertex',
      404,
      [
        google(
          404,
          'NOT_FOUND',
          'Publisher Model `projects/p/…/gemini-9` was not found or your project does not have access to it.',
        ),
      ],
      'target_misconfigured',
    ],
    [
      'a rate limit',
      429,
      google(
        429,
        'RESOURCE_EXHAUSTED',
        'You exceeded your current quota, please check your plan and billing details.',
        retryInfo('34.07s'),
      ),
      'rate_limited',
      { wait: 34_070 },
    ],
    [
      'a quota of the minute',
      429,
      google(
        429,
        'RESOURCE_EXHAUSTED',
        'Quota exceeded',
        quotaFailure('GenerateRequestsPerMinutePerProjectPerModel-FreeTier'),
        retryInfo('8s'),
      ),
      'rate_limited',
      { wait: 8000 },
    ],
    [
      'a quota of the day',
      429,
      google(
        429,
        'RESOURCE_EXHAUSTED',
        'Quota exceeded',
        quotaFailure(
          'GenerateRequestsPerMinutePerProject',
          'GenerateRequestsPerDayPerProjectPerModel-FreeTier',
        ),
        retryInfo('8s'),
      ),
      'out_of_credit',
      { wait: 8000 },
    ],
    ['a cancelled call', 499, google(499, 'CANCELLED', 'The operation was cancelled.'), 'server_error'],
    ['a fault of its own', 500, google(500, 'INTERNAL', 'An internal error has occurred.'), 'server_error'],
    ['what it cannot', 501, google(501, 'UNIMPLEMENTED', 'Not implemented.'), 'server_error'],
    [
      'overload',
      503,
      google(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.'),
      'overloaded',
    ],
    [
      'a timeout',
      504,
      google(504, 'DEADLINE_EXCEEDED', 'Deadline expired before operation could complete.'),
      'server_error',
    ],
  ],
  Azure: [
    [
      'a version that there is not',
      400,
      { error: { code: 'BadRequest', message: 'API version not supported' } },
      'target_misconfigured',
    ],
    [
      'a deployment for other things',
      400,
      {
        error: {
          code: 'OperationNotSupported',
          message: 'The chatCompletion operation does not work with the specified model',
        },
      },
      'target_misconfigured',
    ],
    [
      'a rate limit',
      429,
      { error: { code: '429', message: 'The system is currently experiencing high demand.' } },
      'rate_limited',
      {
        headers: { 'retry-after-ms': '2500', 'retry-after': '3', 'x-ratelimit-reset-tokens': '40' },
        wait: 2500,
      },
    ],
    [
      'a rate limit in seconds',
      429,
      { error: { code: '429', message: 'slow' } },
      'rate_limited',
      { headers: { 'x-ratelimit-remaining-tokens': '-1', 'x-ratelimit-reset-tokens': '12' }, wait: 12_000 },
    ],
  ],
  'OpenAI-like hosts': [
    [
      'OpenRouter without credit',
      402,
      { error: { code: 402, message: 'Pay' } },
      'out_of_credit',
      { headers: { 'retry-after': '9' }, wait: 9000 },
    ],
    [
      'Groq, whose model wrote no JSON',
      400,
      {
        error: {
          message: 'Failed to generate JSON.',
          type: 'invalid_request_error',
          code: 'json_validate_failed',
          failed_generation: '{',
        },
      },
      'server_error',
    ],
    [
      'Mistral, whose message is an object',
      422,
      {
        object: 'error',
        message: { detail: [{ msg: 'Extra inputs are not permitted' }] },
        type: 'invalid_request_error',
        code: null,
      },
      'invalid_request',
    ],
  ],
};

for (const [provider, cases] of Object.entries(CASES)) {
  describe(`What ${provider} says with a status`, () => {
    for (const [name, status, body, kind, { headers = {}, wait } = {}] of cases) {
      it(`is ${kind.replaceAll('_', ' ')}: ${name} (${status})`, () => {
        const failure = read(status, body, headers);
        assert.deepEqual([failure.kind, failure.status, failure.retryAfterMs], [kind, status, wait ?? null]);
        if (provider !== 'OpenAI-like hosts' && provider !== 'Azure')
          assert.equal(failure.error?.raw ?? null, null);
      });
    }
  });
}

describe('What a provider says in the middle of a stream', () => {
  const cases: [JsonObject, FailureKind, number | null][] = [
    [anthropic('overloaded_error', 'Overloaded'), 'overloaded', 529],
    [anthropic('rate_limit_error', 'Slow down'), 'rate_limited', 429],
    [
      anthropic('rate_limit_error', 'No', { error_code: 'enforced_spend_limit_reached' }),
      'out_of_credit',
      429,
    ],
    [anthropic('api_error', 'Internal server error'), 'server_error', 500],
    [anthropic('timeout_error', 'late'), 'server_error', 504],
    [anthropic('billing_error', 'pay'), 'out_of_credit', 402],
    [anthropic('authentication_error', 'who'), 'credentials_refused', 401],
    [anthropic('permission_error', 'no'), 'credentials_refused', 403],
    [anthropic('not_found_error', 'model: x'), 'target_misconfigured', 404],
    [anthropic('request_too_large', 'large'), 'invalid_request', 413],
    [anthropic('invalid_request_error', 'prompt is too long: 9 > 8'), 'context_too_long', 400],
    [anthropic('invalid_request_error', 'no'), 'invalid_request', 400],
    [anthropic('error_of_the_future', 'what'), 'broken_body', null],
    ...(
      [
        ['throttlingException', 'rate_limited', 429],
        ['modelStreamErrorException', 'server_error', 424],
        ['modelTimeoutException', 'server_error', 408],
        ['internalServerException', 'server_error', 500],
        ['serviceUnavailableException', 'overloaded', 503],
        ['validationException', 'invalid_request', 400],
        ['accessDeniedException', 'credentials_refused', 403],
        ['serviceQuotaExceededException', 'out_of_credit', 400],
        ['exceptionOfTheFutureException', 'broken_body', null],
      ] as const
    ).flatMap(([name, kind, status]): [JsonObject, FailureKind, number | null][] => {
      const pascal = name[0]?.toUpperCase() + name.slice(1);
      return [
        [{ [name]: { message: 'said so' } }, kind, status],
        [{ error: { type: name, message: 'said so' } }, kind, status],
        [{ error: { code: pascal, message: 'said so' } }, kind, status],
        [{ type: pascal, message: 'said so' }, kind, status],
        [{ __type: `com.amazon.coral.service#${pascal}`, message: 'said so' }, kind, status],
      ];
    }),
    [google(429, 'RESOURCE_EXHAUSTED', 'Quota'), 'rate_limited', 429],
    [google(429, 'RESOURCE_EXHAUSTED', 'Quota', quotaFailure('RequestsPerDay')), 'out_of_credit', 429],
    [{ error: { status: 'RESOURCE_EXHAUSTED', message: 'Quota' } }, 'rate_limited', 429],
    [google(503, 'UNAVAILABLE', 'overloaded'), 'overloaded', 503],
    [{ error: { status: 'UNAVAILABLE', message: 'overloaded' } }, 'overloaded', 503],
    [{ error: { status: 'INTERNAL', message: 'oh' } }, 'server_error', 500],
    [{ error: { status: 'DEADLINE_EXCEEDED', message: 'late' } }, 'server_error', 504],
    [{ error: { status: 'PERMISSION_DENIED', message: 'no' } }, 'credentials_refused', 403],
    [{ error: { status: 'INVALID_ARGUMENT', message: 'no' } }, 'invalid_request', 400],
    [google(400, 'FAILED_PRECONDITION', 'no'), 'target_misconfigured', 400],
    [google(404, 'NOT_FOUND', 'models/x is not found'), 'target_misconfigured', 404],
  ];
  for (const [body, kind, status] of cases) {
    it(`is ${kind.replaceAll('_', ' ')}: ${JSON.stringify(body).slice(0, 100)}`, () => {
      const failure = readInBandError(body, unredacted);
      assert.deepEqual([failure.kind, failure.status], [kind, status]);
      assert.notEqual(failure.error?.message ?? '', '');
      // A word of Google's without a number beside it is as well anybody's.
      const named = JSON.stringify(body).startsWith('{"error":{"status"');
      assert.equal(failure.error?.raw ?? null, named ? JSON.stringify(body) : null);
      if (status === null) assert.equal(failure.error?.type, 'server_error');
    });
  }

  it('may say how long to wait', () => {
    const failure = readInBandError(google(429, 'RESOURCE_EXHAUSTED', 'Quota', retryInfo('5s')), unredacted);
    assert.equal(failure.retryAfterMs, 5000);
  });
});

describe("What a client is told of a provider's own error", () => {
  const told = (status: number, body: object | string, headers: WireHeaders = {}) => {
    const { error } = read(status, body, headers);
    assert.ok(error !== null);
    return error;
  };

  it("is in OpenAI's fields, with the provider's word for it as the code", () => {
    const cases: [ReturnType<typeof told>, string, string | null][] = [
      [told(400, anthropic('invalid_request_error', 'm')), 'invalid_request_error', null],
      [told(413, anthropic('request_too_large', 'm')), 'invalid_request_error', 'request_too_large'],
      [told(529, anthropic('overloaded_error', 'm')), 'server_error', 'overloaded_error'],
      [
        told(429, anthropic('rate_limit_error', 'm', { error_code: 'enforced_spend_limit_reached' })),
        'rate_limit_error',
        'enforced_spend_limit_reached',
      ],
      [told(400, google(400, 'INVALID_ARGUMENT', 'm')), 'invalid_request_error', 'invalid_argument'],
      [
        told(400, [google(400, 'INVALID_ARGUMENT', 'm', errorInfo('API_KEY_INVALID'))]),
        'invalid_request_error',
        'api_key_invalid',
      ],
      [told(403, google(403, 'PERMISSION_DENIED', 'm')), 'permission_error', 'permission_denied'],
      [
        told(400, { message: 'm' }, { 'x-amzn-errortype': 'ValidationException:http://x/' }),
        'invalid_request_error',
        'ValidationException',
      ],
      [
        told(500, { Message: 'm' }, { 'x-amzn-errortype': 'InternalServerException' }),
        'server_error',
        'InternalServerException',
      ],
    ];
    for (const [error, type, code] of cases) {
      assert.deepEqual(error, { message: 'm', type, param: null, code, raw: null });
    }
  });

  it("is never the provider's own body, which a client of OpenAI's cannot read", () => {
    const inBand: JsonObject[] = [
      anthropic('invalid_request_error', 'm'),
      google(400, 'INVALID_ARGUMENT', 'm'),
      { validationException: { message: 'm' } },
      { type: 'error', code: 'invalid_prompt', message: 'm', param: 'input', sequence_number: 3 },
    ];
    for (const body of inBand) {
      const { error } = readInBandError(body, unredacted);
      assert.deepEqual([error?.raw, error?.message, error?.type], [null, 'm', 'invalid_request_error']);
    }
    const event = readInBandError(inBand[3] as JsonObject, unredacted).error;
    assert.deepEqual([event?.code, event?.param], ['invalid_prompt', 'input']);
  });

  it('is in words, whatever shape they have', () => {
    const message = { detail: [{ msg: 'Extra inputs are not permitted' }] };
    assert.equal(told(422, { object: 'error', message, type: 't' }).message, JSON.stringify(message));
  });

  it('is the whole body where that is already what OpenAI writes', () => {
    for (const body of [
      { error: { message: 'm', type: 't', param: null, code: null } },
      { error: { message: 'm', code: 400, metadata: { raw: 'x' } } },
      { error: { message: 'm', code: 'content_filter', status: 400, innererror: {} } },
    ]) {
      assert.equal(told(400, body).raw, JSON.stringify(body));
    }
  });

  it('holds none of our keys', () => {
    const redact = makeRedact(['sk-secret-1']);
    for (const body of [
      anthropic('sk-secret-1', 'sk-secret-1'),
      google(400, 'INVALID_ARGUMENT', 'sk-secret-1', errorInfo('sk-secret-1')),
      { type: 'error', error: { type: 'x', code: 'sk-secret-1', message: 'sk-secret-1' } },
    ]) {
      const failure = readFailure(
        { status: 400, headers: {}, text: JSON.stringify(body), wallMs: 0 },
        redact,
      );
      assert.ok(!JSON.stringify(failure).includes('sk-secret-1'), JSON.stringify(failure));
    }
  });
});

describe('What a client makes an upstream quote', () => {
  const openai = (message: string): JsonObject => ({
    error: { message, type: 'invalid_request_error', param: 'x', code: 'invalid_value' },
  });

  it('cannot cool down the key of all', () => {
    const words = [
      'insufficient_quota',
      'spend limit',
      'credit balance is too low',
      'ServiceQuotaExceededException',
      'You have reached your specified API usage limits.',
      'not set up for billing',
    ];
    for (const word of words) {
      for (const quoted of [`'${word}'`, `"${word}"`, `\`${word}\``, `“${word}”`, `'x' ${word}`]) {
        for (const status of [400, 413, 422]) {
          const { kind } = read(status, openai(`Invalid value: ${quoted}. Supported values are: 'a'.`));
          assert.equal(OUTCOME_RULES[kind].cooldown, 'none', `${status} ${quoted}: ${kind}`);
        }
        const inBand = readInBandError(openai(`Invalid value: ${quoted}.`), unredacted);
        assert.equal(OUTCOME_RULES[inBand.kind].cooldown, 'none');
      }
      const list = { detail: [{ type: 'extra_forbidden', loc: ['body', word], msg: 'no', input: word }] };
      assert.equal(read(422, list).kind, 'invalid_request');
    }
  });

  it('is no matter where the host says it in words of its own', () => {
    assert.equal(read(400, openai("You've reached your spend limit for 'x'.")).kind, 'out_of_credit');
    assert.equal(read(400, { error: { message: 'x', code: 'insufficient_quota' } }).kind, 'out_of_credit');
  });
});

describe('What nobody would write', () => {
  it('is read all the same', () => {
    const odd: (object | string)[] = [
      { type: 'error' },
      { type: 'error', error: null },
      { type: 'error', error: { type: {}, message: [] } },
      {
        error: {
          code: 400,
          status: {},
          details: [null, 1, { violations: [null, { quotaId: {} }] }, { reason: 5 }],
        },
      },
      { error: { details: { error_code: 5 } } },
      { __type: {} },
      { fooException: null },
      { fooException: { fooException: {} } },
      JSON.parse('{"__proto__":{"message":"x"},"constructor":{"message":"y"}}') as object,
      `{"error":${'['.repeat(5000)}${']'.repeat(5000)}}`,
      `${'{"error":'.repeat(5000)}1${'}'.repeat(5000)}`,
    ];
    const headers: WireHeaders[] = [
      {},
      { 'x-amzn-errortype': '' },
      { 'x-amzn-errortype': ['#', 'x'] },
      { 'x-amzn-errortype': ':::' },
    ];
    for (const body of odd) {
      for (const given of headers) {
        for (const status of [400, 403, 404, 429, 500]) assert.ok(read(status, body, given).kind);
      }
      const value = typeof body === 'string' ? (JSON.parse(body) as object) : body;
      assert.ok(readInBandError(value as JsonObject, unredacted).kind);
    }
  });
});
