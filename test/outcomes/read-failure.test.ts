import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import type { FailureKind } from '../../src/core/outcome.ts';
import { readFailure, readInBandError } from '../../src/providers/failure.ts';

/** What hosts write, as near to their own words as is known, and the row of the table that it belongs to. */
type Case = [status: number, body: object | string, kind: FailureKind];

const openai = (message: string, code: string | null = null, type = 'invalid_request_error') => ({
  error: { message, type, param: null, code },
});

const HTML = '<html>\r\n<head><title>Error</title></head>\r\n<body>nginx</body>\r\n</html>\r\n';

const CASES: Record<string, Case[]> = {
  OpenAI: [
    [
      400,
      openai(
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens.",
        'context_length_exceeded',
      ),
      'context_too_long',
    ],
    [
      400,
      openai('Your request was rejected by our safety system.', 'content_policy_violation'),
      'content_filtered',
    ],
    [
      400,
      openai("Unsupported value: 'temperature' does not support 0.2", 'unsupported_value'),
      'invalid_request',
    ],
    [400, openai('Invalid schema for response_format', null), 'invalid_request'],
    [401, openai('Incorrect API key provided: sk-abc***xyz.', 'invalid_api_key'), 'credentials_refused'],
    [401, openai('You must be a member of an organization to use the API'), 'credentials_refused'],
    [
      403,
      openai('Country, region, or territory not supported', 'unsupported_country_region_territory'),
      'credentials_refused',
    ],
    [403, openai('Project does not have access to model gpt-6', 'model_not_found'), 'credentials_refused'],
    [
      404,
      openai('The model `gpt-7` does not exist or you do not have access to it.', 'model_not_found'),
      'target_misconfigured',
    ],
    [404, openai('Invalid URL (POST /v2/chat/completions)'), 'target_misconfigured'],
    [404, openai('No such File object: file-123'), 'invalid_request'],
    [405, openai('Only POST is allowed'), 'invalid_request'],
    [409, openai('The requested resource was being changed', null, 'conflict'), 'server_error'],
    [413, openai('Request body too large'), 'invalid_request'],
    [415, openai('Unsupported media type'), 'invalid_request'],
    [422, openai('Unprocessable'), 'invalid_request'],
    [
      429,
      openai('Rate limit reached for gpt-6 on requests per min', 'rate_limit_exceeded', 'requests'),
      'rate_limited',
    ],
    [
      429,
      openai('Rate limit reached for gpt-6 on tokens per min', 'rate_limit_exceeded', 'tokens'),
      'rate_limited',
    ],
    [429, openai('Slow down', 'slow_down'), 'rate_limited'],
    [
      429,
      openai('You exceeded your current quota', 'insufficient_quota', 'insufficient_quota'),
      'out_of_credit',
    ],
    [429, openai('No credit left', 'credit_balance_exhausted'), 'out_of_credit'],
    [400, openai('Billing hard limit has been reached', 'billing_hard_limit_reached'), 'out_of_credit'],
    [500, openai('The server had an error', null, 'server_error'), 'server_error'],
    [502, '', 'server_error'],
    [503, openai('Slow down', 'slow_down'), 'overloaded'],
    [503, openai('Overloaded', 'server_is_overloaded'), 'overloaded'],
    [504, '', 'server_error'],
  ],
  Azure: [
    [
      400,
      {
        error: {
          message:
            "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
          type: null,
          param: 'prompt',
          code: 'content_filter',
          status: 400,
          innererror: {
            code: 'ResponsibleAIPolicyViolation',
            content_filter_result: { hate: { filtered: true, severity: 'high' } },
          },
        },
      },
      'content_filtered',
    ],
    [
      400,
      { error: { message: 'filtered', code: null, innererror: { code: 'ResponsibleAIPolicyViolation' } } },
      'content_filtered',
    ],
    [
      404,
      {
        error: {
          code: 'DeploymentNotFound',
          message: 'The API deployment for this resource does not exist.',
        },
      },
      'target_misconfigured',
    ],
    [404, { error: { code: '404', message: 'Resource not found' } }, 'target_misconfigured'],
    [404, { statusCode: 404, message: 'Resource not found' }, 'target_misconfigured'],
    [
      401,
      { statusCode: 401, message: 'Unauthorized. Access token is missing or invalid.' },
      'credentials_refused',
    ],
    [
      403,
      { error: { code: '403', message: 'Access denied due to Virtual Network/Firewall rules.' } },
      'credentials_refused',
    ],
    [408, { error: { code: 'Timeout', message: 'The operation was timeout.' } }, 'server_error'],
    [429, { error: { code: '429', message: 'Requests have exceeded the call rate limit.' } }, 'rate_limited'],
    [
      500,
      { error: { code: 'InternalServerError', message: 'Backend returned unexpected response' } },
      'server_error',
    ],
  ],
  'Anthropic, spoken to as OpenAI': [
    [
      400,
      {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'prompt is too long: 205000 tokens > 200000 maximum',
        },
      },
      'context_too_long',
    ],
    [
      400,
      {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'Your credit balance is too low to access the API.',
        },
      },
      'out_of_credit',
    ],
    [
      400,
      {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'You have reached your specified API spend limits.',
        },
      },
      'out_of_credit',
    ],
    [
      400,
      {
        type: 'error',
        error: { type: 'invalid_request_error', message: 'This organization has been disabled.' },
      },
      'target_misconfigured',
    ],
    [
      400,
      { type: 'error', error: { type: 'invalid_request_error', message: 'max_tokens: required' } },
      'invalid_request',
    ],
    [
      401,
      { type: 'error', error: { type: 'authentication_error', message: 'invalid x-api-key' } },
      'credentials_refused',
    ],
    [402, { type: 'error', error: { type: 'billing_error', message: 'payment' } }, 'out_of_credit'],
    [403, { type: 'error', error: { type: 'permission_error', message: 'no' } }, 'credentials_refused'],
    [
      404,
      { type: 'error', error: { type: 'not_found_error', message: 'model: claude-9' } },
      'target_misconfigured',
    ],
    [
      413,
      { type: 'error', error: { type: 'request_too_large', message: 'Request exceeds the maximum size' } },
      'invalid_request',
    ],
    [
      429,
      { type: 'error', error: { type: 'rate_limit_error', message: 'requests per minute' } },
      'rate_limited',
    ],
    [
      429,
      {
        type: 'error',
        error: {
          type: 'rate_limit_error',
          message: 'no',
          details: { error_code: 'enforced_spend_limit_reached' },
        },
      },
      'out_of_credit',
    ],
    [500, { type: 'error', error: { type: 'api_error', message: 'Internal server error' } }, 'server_error'],
    [529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'overloaded'],
  ],
  OpenRouter: [
    [400, { error: { code: 400, message: 'foo/bar is not a valid model ID' } }, 'target_misconfigured'],
    [400, { error: { code: 400, message: 'Input must have at least 1 token.' } }, 'invalid_request'],
    [
      400,
      { error: { code: 400, message: "This endpoint's maximum context length is 8192 tokens." } },
      'context_too_long',
    ],
    [401, { error: { code: 401, message: 'No auth credentials found' } }, 'credentials_refused'],
    [402, { error: { code: 402, message: 'Insufficient credits' } }, 'out_of_credit'],
    [
      403,
      {
        error: {
          code: 403,
          message: 'foo requires moderation and your input was flagged',
          metadata: { reasons: ['violence'], flagged_input: 'hello', provider_name: 'X', model_slug: 'x' },
        },
      },
      'content_filtered',
    ],
    [403, { error: { code: 403, message: 'Key limit exceeded (total limit).' } }, 'credentials_refused'],
    [404, { error: { code: 404, message: 'No endpoints found for foo/bar.' } }, 'target_misconfigured'],
    [408, { error: { code: 408, message: 'Timed out' } }, 'server_error'],
    [429, { error: { code: 429, message: 'Rate limit exceeded: free-models-per-min' } }, 'rate_limited'],
    [
      502,
      { error: { code: 502, message: 'Provider returned error', metadata: { raw: 'x' } } },
      'server_error',
    ],
    [503, { error: { code: 503, message: 'No instances available' } }, 'overloaded'],
  ],
  Groq: [
    [
      413,
      openai(
        'Request too large for model `llama` in organization `org_1` on tokens per minute (TPM): Limit 6000, Requested 9000',
        'rate_limit_exceeded',
        'tokens',
      ),
      'context_too_long',
    ],
    [498, openai('Flex tier capacity exceeded', 'capacity_exceeded'), 'overloaded'],
    [
      400,
      {
        error: {
          message:
            "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
          type: 'invalid_request_error',
          code: 'tool_use_failed',
          failed_generation: '<function=get_weather{',
        },
      },
      'server_error',
    ],
    [
      404,
      openai('The model `x` does not exist or you do not have access to it.', 'model_not_found'),
      'target_misconfigured',
    ],
    [424, openai('Dependent request failed'), 'server_error'],
    [429, openai('Rate limit reached for model `llama`', 'rate_limit_exceeded', 'tokens'), 'rate_limited'],
  ],
  Mistral: [
    [
      400,
      { object: 'error', message: 'Invalid model: foo', type: 'invalid_model', param: null, code: '1500' },
      'target_misconfigured',
    ],
    [
      400,
      {
        object: 'error',
        message: 'Prompt contains 40000 tokens, too many tokens for the model',
        type: 'invalid_request',
        param: null,
        code: '3051',
      },
      'context_too_long',
    ],
    [401, { message: 'Unauthorized', request_id: 'x' }, 'credentials_refused'],
    [402, { detail: 'Payment required' }, 'out_of_credit'],
    [
      422,
      { detail: [{ type: 'missing', loc: ['body', 'messages'], msg: 'Field required' }] },
      'invalid_request',
    ],
    [
      429,
      {
        object: 'error',
        message: 'Requests rate limit exceeded',
        type: 'rate_limited',
        param: null,
        code: '1300',
      },
      'rate_limited',
    ],
    [
      503,
      { object: 'error', message: 'Service unavailable', type: 'unavailable', param: null, code: '3700' },
      'overloaded',
    ],
  ],
  DeepSeek: [
    [400, openai('Model Not Exist', 'invalid_request_error'), 'target_misconfigured'],
    [400, openai('Invalid max_tokens value', 'invalid_request_error'), 'invalid_request'],
    [
      401,
      openai('Authentication Fails (no such user)', 'invalid_request_error', 'authentication_error'),
      'credentials_refused',
    ],
    [402, openai('Insufficient Balance', 'invalid_request_error', 'unknown_error'), 'out_of_credit'],
    [422, openai('Failed to deserialize the JSON body', 'invalid_request_error'), 'invalid_request'],
    [429, openai('Rate limit reached', null), 'rate_limited'],
    [503, openai('Service is too busy', 'service_unavailable_error'), 'overloaded'],
  ],
  'vLLM and FastAPI': [
    [
      400,
      {
        object: 'error',
        message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
      'context_too_long',
    ],
    [
      400,
      { object: 'error', message: 'n must be at least 1', type: 'BadRequestError', param: null, code: 400 },
      'invalid_request',
    ],
    [
      404,
      {
        object: 'error',
        message: 'The model `x` does not exist.',
        type: 'NotFoundError',
        param: null,
        code: 404,
      },
      'target_misconfigured',
    ],
    [404, { detail: 'Not Found' }, 'target_misconfigured'],
    [401, { error: 'Unauthorized' }, 'credentials_refused'],
    [
      500,
      { error: { message: 'EngineDeadError', type: 'InternalServerError', param: null, code: 500 } },
      'server_error',
    ],
  ],
  'Ollama and Together': [
    [
      404,
      {
        error: {
          message: 'model "llama9" not found, try pulling it first',
          type: 'api_error',
          param: null,
          code: null,
        },
      },
      'target_misconfigured',
    ],
    [
      404,
      openai(
        'Unable to access model foo. Please visit our page to see the list of models.',
        'model_not_available',
      ),
      'target_misconfigured',
    ],
    [503, openai('The server is overloaded or not ready yet.', null, 'service_unavailable'), 'overloaded'],
  ],
  xAI: [
    [
      400,
      { code: 'Client specified an invalid argument', error: 'Incorrect API key provided: xa***yz.' },
      'target_misconfigured',
    ],
    [
      400,
      { code: 'Client specified an invalid argument', error: 'temperature must be at most 2' },
      'invalid_request',
    ],
    [
      400,
      {
        code: 'Client specified an invalid argument',
        error: "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
      },
      'context_too_long',
    ],
    [
      404,
      {
        code: 'Some requested entity was not found',
        error: 'The model grok-9 does not exist or your team has no access to it.',
      },
      'target_misconfigured',
    ],
    [429, { code: 'Some resource has been exhausted', error: 'Too many requests' }, 'rate_limited'],
    [
      503,
      { code: 'The service is currently unavailable', error: 'Service temporarily unavailable.' },
      'overloaded',
    ],
  ],
  'Google, spoken to as OpenAI': [
    [
      400,
      [
        {
          error: {
            code: 400,
            message: 'API key not valid. Please pass a valid API key.',
            status: 'INVALID_ARGUMENT',
          },
        },
      ],
      'target_misconfigured',
    ],
    [
      400,
      {
        error: {
          code: 400,
          message: 'bad',
          status: 'INVALID_ARGUMENT',
          details: [{ reason: 'API_KEY_INVALID' }],
        },
      },
      'target_misconfigured',
    ],
    [
      400,
      [
        {
          error: {
            code: 400,
            message: 'The input token count (9) exceeds the maximum number of tokens allowed (8).',
          },
        },
      ],
      'context_too_long',
    ],
    [
      429,
      [{ error: { code: 429, message: 'Resource has been exhausted', status: 'RESOURCE_EXHAUSTED' } }],
      'rate_limited',
    ],
  ],
  'a proxy in between': [
    [301, '', 'target_misconfigured'],
    [302, HTML, 'target_misconfigured'],
    [308, '', 'target_misconfigured'],
    [400, HTML, 'invalid_request'],
    [401, HTML, 'credentials_refused'],
    [403, HTML, 'credentials_refused'],
    [404, HTML, 'target_misconfigured'],
    [404, '', 'target_misconfigured'],
    [407, HTML, 'target_misconfigured'],
    [410, '', 'target_misconfigured'],
    [413, HTML, 'invalid_request'],
    [429, HTML, 'rate_limited'],
    [500, HTML, 'server_error'],
    [502, HTML, 'server_error'],
    [503, HTML, 'overloaded'],
    [504, HTML, 'server_error'],
    [520, HTML, 'server_error'],
    [524, '{"error":', 'server_error'],
    [500, 'null', 'server_error'],
    [500, '[]', 'server_error'],
    [500, '"error"', 'server_error'],
    [500, '{"error":{}}', 'server_error'],
    [500, '{"error":[1]}', 'server_error'],
    [418, '', 'invalid_request'],
    [425, '', 'server_error'],
  ],
};

const unredacted = (text: string) => text;

function readStatus(status: number, body: object | string) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readFailure({ status, headers: {}, text, wallMs: 0 }, unredacted);
}

for (const [host, cases] of Object.entries(CASES)) {
  describe(`What ${host} writes`, () => {
    for (const [status, body, kind] of cases) {
      const start = (typeof body === 'string' ? body : JSON.stringify(body))
        .replace(/\s+/g, ' ')
        .slice(0, 90);
      it(`is ${kind.replaceAll('_', ' ')}: ${status} ${start}`, () => {
        const failure = readStatus(status, body);
        assert.equal(failure.kind, kind);
        assert.equal(failure.status, status);
        assert.notEqual(failure.message, '');
      });
    }
  });
}

describe('The error that is read', () => {
  it("is kept whole where it has OpenAI's shape", () => {
    const body = { error: { message: 'no', type: 't', param: 'p', code: 'c', extra: [1] }, request_id: 'r' };
    assert.deepEqual(readStatus(400, body).error, {
      message: 'no',
      type: 't',
      param: 'p',
      code: 'c',
      raw: JSON.stringify(body),
    });
  });

  it('has its words found in every other shape', () => {
    const shapes: [object, string, string | null][] = [
      [{ error: 'in words' }, 'in words', null],
      [{ code: 'c', error: 'in words' }, 'in words', 'c'],
      [{ object: 'error', message: 'flat', code: 400 }, 'flat', '400'],
      [{ detail: [{ msg: 'missing' }] }, '[{"msg":"missing"}]', null],
      [{ error: { code: 'c' } }, '{"code":"c"}', 'c'],
    ];
    for (const [body, message, code] of shapes) {
      const { error } = readStatus(400, body);
      assert.deepEqual(error && [error.message, error.code, error.raw], [message, code, null]);
    }
  });

  it('quotes the beginning of what is no JSON, on one line', () => {
    const failure = readStatus(502, `<html>\r\n  <body>${'x'.repeat(1000)}</body>`);
    assert.equal(failure.error, null);
    assert.equal(failure.message, `HTTP 502: <html> <body>${'x'.repeat(200 - 13)}`);
    assert.equal(readStatus(502, '').message, 'HTTP 502');
  });

  it('is found in a text that is nothing but the beginnings of patterns', () => {
    const teasing = 'organization model deployment no input is exceeds the '.repeat(10_000);
    for (const status of [400, 403, 404, 429, 500]) readStatus(status, { error: { message: teasing } });
    assert.equal(readStatus(404, { error: { message: `${teasing}not found` } }).kind, 'invalid_request');
    assert.equal(
      readStatus(404, { error: { message: `model not found ${teasing}` } }).kind,
      'target_misconfigured',
    );
  });
});

describe('An error with status 200', () => {
  const cases: [JsonObject, FailureKind, number | null][] = [
    [{ error: { code: 429, message: 'Rate limit exceeded' } }, 'rate_limited', 429],
    [{ error: { code: '429', message: 'Rate limit exceeded' } }, 'rate_limited', 429],
    [{ error: { type: 'rate_limit_error', message: 'slow' } }, 'rate_limited', 429],
    [{ error: { code: 'rate_limit_exceeded', message: 'slow' } }, 'rate_limited', 429],
    [{ error: { code: 'insufficient_quota', message: 'pay' } }, 'out_of_credit', 429],
    [{ error: { code: 402, message: 'pay' } }, 'out_of_credit', 402],
    [{ error: { code: 401, message: 'who' } }, 'credentials_refused', 401],
    [{ error: { code: 403, message: 'flagged', metadata: { reasons: ['x'] } } }, 'content_filtered', 403],
    [{ error: { code: 502, message: 'Provider returned error' } }, 'server_error', 502],
    [{ error: { code: 503, message: 'none' } }, 'overloaded', 503],
    [{ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'overloaded', 529],
    [{ error: { type: 'api_error', message: 'Internal' } }, 'server_error', 500],
    [{ error: { type: 'timeout_error', message: 'late' } }, 'server_error', 504],
    [
      { error: { type: 'invalid_request_error', message: 'prompt is too long: 9 > 8' } },
      'context_too_long',
      400,
    ],
    [{ error: { code: 'context_length_exceeded', message: 'long' } }, 'context_too_long', 400],
    [{ error: { message: "this model's maximum context length is 8" } }, 'context_too_long', null],
    [{ error: 'input is too long' }, 'context_too_long', null],
    [{ error: { code: 'content_filter', message: 'no' } }, 'content_filtered', 400],
    [{ error: { type: 'invalid_request_error', message: 'no' } }, 'invalid_request', 400],
    [{ error: { code: 'model_not_found', message: 'no' } }, 'target_misconfigured', 404],
    [{ object: 'error', message: 'flat', code: 503 }, 'overloaded', 503],
    [{ error: { message: 'oh no' } }, 'broken_body', null],
    [{ error: { code: 200, message: 'OK?' } }, 'broken_body', null],
    [{ error: { code: 'constructor', message: 'no' } }, 'broken_body', null],
    [{ error: 'oh no' }, 'broken_body', null],
    [{ error: true }, 'broken_body', null],
    [{}, 'broken_body', null],
  ];
  for (const [body, kind, status] of cases) {
    it(`is ${kind.replaceAll('_', ' ')}: ${JSON.stringify(body)}`, () => {
      const failure = readInBandError(body, unredacted);
      assert.equal(failure.kind, kind);
      assert.equal(failure.status, status);
    });
  }
});
