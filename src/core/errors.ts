/** Codes of the errors that Spillway itself answers with: HTTP status and OpenAI's `type` for each. */
export const ERROR_CODES = {
  invalid_api_key: { status: 401, type: 'invalid_request_error' },
  model_not_allowed: { status: 403, type: 'permission_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  stream_not_found: { status: 404, type: 'invalid_request_error' },
  stream_truncated: { status: 410, type: 'invalid_request_error' },
  tenant_not_found: { status: 404, type: 'invalid_request_error' },
  key_not_found: { status: 404, type: 'invalid_request_error' },
  tenant_exists: { status: 409, type: 'invalid_request_error' },
  tenant_in_file: { status: 409, type: 'invalid_request_error' },
  key_exists: { status: 409, type: 'invalid_request_error' },
  unknown_url: { status: 404, type: 'invalid_request_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  headers_too_large: { status: 431, type: 'invalid_request_error' },
  invalid_json: { status: 400, type: 'invalid_request_error' },
  invalid_value: { status: 400, type: 'invalid_request_error' },
  needs_shared_state: { status: 400, type: 'invalid_request_error' },
  unsupported_parameter: { status: 400, type: 'invalid_request_error' },
  missing_required_parameter: { status: 400, type: 'invalid_request_error' },
  idempotency_key_reused: { status: 422, type: 'invalid_request_error' },
  idempotency_key_in_use: { status: 409, type: 'invalid_request_error' },
  request_too_large: { status: 413, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  context_length_exceeded: { status: 400, type: 'invalid_request_error' },
  content_policy_violation: { status: 400, type: 'invalid_request_error' },
  rate_limit_exceeded: { status: 429, type: 'requests' },
  insufficient_quota: { status: 429, type: 'insufficient_quota' },
  model_not_priced: { status: 403, type: 'permission_error' },
  upstream_rate_limited: { status: 429, type: 'rate_limit_error' },
  upstream_auth_error: { status: 502, type: 'server_error' },
  upstream_out_of_credit: { status: 502, type: 'server_error' },
  upstream_error: { status: 502, type: 'server_error' },
  no_healthy_upstream: { status: 503, type: 'server_error' },
  upstream_timeout: { status: 504, type: 'server_error' },
  state_unavailable: { status: 503, type: 'server_error' },
  server_is_overloaded: { status: 503, type: 'server_error' },
  server_shutting_down: { status: 503, type: 'server_error' },
  stream_interrupted: { status: 502, type: 'server_error' },
  internal_error: { status: 500, type: 'server_error' },
} as const satisfies Record<string, { status: number; type: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  param?: string | null;
  /** Milliseconds after which another try makes sense: becomes `retry-after` and `retry-after-ms`. */
  retryAfterMs?: number | null;
  /** Set to false where another try by the client cannot help: SDKs try again by themselves. A request that is itself at fault needs no word. */
  shouldRetry?: boolean | null;
  headers?: Readonly<Record<string, string>>;
  /** Where the code's own will not do: a limit of tokens and one of requests have the same code. */
  type?: string;
}

/** An error that is an answer to the client, in OpenAI's shape. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly retryAfterMs: number | null;
  readonly shouldRetry: boolean | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly type: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.param = details.param ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.shouldRetry = details.shouldRetry ?? (isAtFault(ERROR_CODES[code].status) ? false : null);
    this.headers = details.headers ?? {};
    this.type = details.type ?? ERROR_CODES[code].type;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/** The statuses of requests that are refused only as things stand: too slow, at the same time as another, too many. */
const FOR_NOW: ReadonlySet<number> = new Set([408, 409, 429]);

/** The same request would be refused again. Agents try even a wrong key again, for minutes, unless they are told not to. */
function isAtFault(status: number): boolean {
  return status >= 400 && status < 500 && !FOR_NOW.has(status);
}

/** Where a client would have to wait for longer it is told not to try again by itself. Milliseconds. */
export const LONGEST_CLIENT_WAIT = 60_000;

/** When what stood in the way for a moment may be out of it. Milliseconds. */
const SHORTLY = 1000;

/** A mistake of ours: what it was is nobody's business but the operator's. */
export function internalError(): ApiError {
  return new ApiError('internal_error', 'Something went wrong in the gateway itself; its log says what.');
}

export function shuttingDown(): ApiError {
  const message = 'This gateway is shutting down; try again.';
  return new ApiError('server_shutting_down', message, { retryAfterMs: SHORTLY });
}

/** A store that is needed is away. `message`: what cannot be done without it. */
export function storeAway(message: string): ApiError {
  return new ApiError('state_unavailable', `${message} Try again shortly.`, { retryAfterMs: SHORTLY });
}

/** The body of an error answer. */
export function errorBody(error: {
  message: string;
  type: string;
  param: string | null;
  code: string;
}): string {
  const { message, type, param, code } = error;
  return JSON.stringify({ error: { message, type, param, code } });
}
