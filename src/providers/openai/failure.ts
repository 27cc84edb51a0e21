import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';
import type { Failure, FailureKind, UpstreamError } from '../../core/outcome.ts';
import type { Redact } from '../../core/redact.ts';
import { readRetryAfter, type WireHeaders } from '../retry-after.ts';

/** An answer that is no success, as it came off the wire. */
export interface FailedAnswer {
  status: number;
  headers: WireHeaders;
  /** The body's text, or as much of it as was read. */
  text: string;
  /** Now, in milliseconds since 1970, for the dates in it. */
  wallMs: number;
}

/** What hosts say, in whichever field, when a prompt is longer than the model's window. */
const TOO_LONG =
  /context_length_exceeded|maximum context length|maximum prompt length|context length exceeded|prompt is too long|input is too long|exceeds the maximum number of tokens|too many tokens|request_too_large_for_model|exceeds? the (?:available )?context (?:size|window)/i;

const FILTERED = /content_policy_violation|content_filter|responsibleaipolicyviolation|moderation_blocked/i;

/** Money is gone, whatever status says so. */
const OUT_OF_CREDIT =
  /insufficient_quota|credit_balance_exhausted|billing_hard_limit_reached|insufficient[ _]balance|credit balance is too low|spend(?:ing)? limit|enforced_spend_limit_reached|contract_spend_limit_reached|billing_not_active/i;

/** A 400 that is about our key or account, not about what the client sent. */
const ABOUT_OUR_KEY =
  /api_key_invalid|invalid_api_key|invalid api key|incorrect api key|api key not valid|organization .{0,200}(?:disabled|on hold)/i;

/** What a host says of a model that it does not have, whatever status it gives that. The client never named it: the target did. */
const NOT_A_MODEL = /model_not_found|deploymentnotfound|invalid_model|model not exist|not a valid model/i;

/** With 404: the model, or a URL that leads nowhere, and not something that the client named. */
const NOT_FOUND =
  /model_not_available|not_found_error|no endpoints found|no allowed providers|resource not found|invalid url|(?:model|deployment)\b.{0,200}\b(?:not found|does not exist|not exist|no access|unavailable|not pulled|unknown|not available)|(?:no|unknown|invalid) (?:such )?(?:model|deployment)/i;

/**
 * The one place where an answer becomes an outcome: status first, then what the body says. OpenAI's dialect, as all
 * the hosts write it that are known to (`error` as object or text, flat, or `detail`).
 */
export function readFailure(answer: FailedAnswer, redact: Redact): Failure {
  const parsed = tryParseJson(answer.text);
  // Google puts a list round the error where it was not asked for events.
  const body = Array.isArray(parsed) ? parsed[0] : parsed;
  const error = readUpstreamError(body, Array.isArray(parsed) ? printed(body) : answer.text, redact);
  const words = searchable(error, answer.text);
  const kind = kindOfStatus(answer.status, words, error !== null, body);
  return {
    kind,
    status: answer.status,
    message: error?.message ?? describe(answer, redact),
    retryAfterMs: readRetryAfter(answer.headers, body, answer.wallMs),
    error,
  };
}

/**
 * An error that came with status 200: as the whole body, or as an event of a stream. Some hosts name the status they
 * mean in `code`; others only a type. What names nothing we know is a broken answer.
 */
export function readInBandError(body: JsonObject, redact: Redact): Failure {
  const text = printed(body);
  const error = readUpstreamError(body, text, redact);
  const named = namedStatus(body['error'] ?? body);
  const words = searchable(error, text);
  const kind = named === null ? kindOfWords(words) : kindOfStatus(named, words, true, body);
  return {
    kind,
    status: named,
    message: error?.message ?? 'the upstream sent an error with status 200',
    retryAfterMs: readRetryAfter({}, body, 0),
    error,
  };
}

function kindOfStatus(status: number, words: string, hasError: boolean, body: Json | undefined): FailureKind {
  if (status >= 300 && status < 400) return 'target_misconfigured';
  switch (status) {
    case 401:
      return 'credentials_refused';
    case 402:
      return 'out_of_credit';
    case 403:
      return isModeration(body) ? 'content_filtered' : 'credentials_refused';
    case 404:
      // Without an error in it, it is not the host's own word: a base_url that leads nowhere.
      return !hasError || NOT_A_MODEL.test(words) || NOT_FOUND.test(words)
        ? 'target_misconfigured'
        : 'invalid_request';
    case 407:
    case 410:
      return 'target_misconfigured';
    case 429:
      return OUT_OF_CREDIT.test(words) ? 'out_of_credit' : 'rate_limited';
    case 408:
    case 409:
    case 424:
    case 425:
      return 'server_error';
    case 498: // Groq: no room in the flex tier
    case 503:
    case 529:
      return 'overloaded';
  }
  if (status >= 500) return 'server_error';
  return kindOfRefusal(status, words);
}

/** An error that names no status: only what no host says of itself is told from a broken answer. */
function kindOfWords(words: string): FailureKind {
  if (TOO_LONG.test(words)) return 'context_too_long';
  return FILTERED.test(words) ? 'content_filtered' : 'broken_body';
}

/** 400, 413, 422 and the like: mostly the client's fault, but not always. */
function kindOfRefusal(status: number, words: string): FailureKind {
  if (TOO_LONG.test(words)) return 'context_too_long';
  if (FILTERED.test(words)) return 'content_filtered';
  if (OUT_OF_CREDIT.test(words)) return 'out_of_credit';
  if (ABOUT_OUR_KEY.test(words)) return 'target_misconfigured';
  if (status === 400 && NOT_A_MODEL.test(words)) return 'target_misconfigured';
  // Groq: the request is larger than this model's tokens a minute; another target may well take it.
  if (status === 413 && /rate_limit_exceeded/.test(words)) return 'context_too_long';
  // Groq: the model wrote a tool call that does not parse; the same again often goes well.
  if (status === 400 && /tool_use_failed/.test(words)) return 'server_error';
  return 'invalid_request';
}

/** OpenRouter answers 403 when its moderation flags the prompt, and says why in `metadata`. */
function isModeration(body: Json | undefined): boolean {
  const error = isJsonObject(body) ? body['error'] : undefined;
  const metadata = isJsonObject(error) ? error['metadata'] : undefined;
  return isJsonObject(metadata) && ('flagged_input' in metadata || 'reasons' in metadata);
}

/** What an in-band error's `type` or `code` stands for where it is no number. */
const STATUS_OF_WORD = new Map(
  Object.entries({
    rate_limit_exceeded: 429,
    rate_limit_error: 429,
    requests: 429,
    tokens: 429,
    insufficient_quota: 429,
    overloaded_error: 529,
    server_is_overloaded: 503,
    service_unavailable: 503,
    slow_down: 503,
    server_error: 500,
    api_error: 500,
    internal_server_error: 500,
    internal_error: 500,
    timeout_error: 504,
    internalservererror: 500,
    badrequesterror: 400,
    authentication_error: 401,
    invalid_api_key: 401,
    permission_error: 403,
    billing_error: 402,
    not_found_error: 404,
    model_not_found: 404,
    context_length_exceeded: 400,
    content_filter: 400,
    content_policy_violation: 400,
    invalid_request_error: 400,
  }),
);

function namedStatus(error: Json | undefined): number | null {
  if (!isJsonObject(error)) return null;
  for (const field of ['code', 'status', 'type'] as const) {
    const value = error[field];
    const number = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && number >= 400 && number <= 599) return number;
    if (typeof value === 'string') {
      const known = STATUS_OF_WORD.get(value.toLowerCase());
      if (known !== undefined) return known;
    }
  }
  return null;
}

/** The error in whatever shape a host wrote it; null if the body holds none. */
function readUpstreamError(body: Json | undefined, text: string, redact: Redact): UpstreamError | null {
  if (!isJsonObject(body)) return null;
  const inner = body['error'];
  if (isJsonObject(inner)) {
    const message = asText(inner['message']) ?? printed(inner);
    return {
      ...readFields(inner, message, redact),
      raw: asText(inner['message']) === null ? null : cleanJson(body, text, redact),
    };
  }
  // xAI: {"code":"…","error":"text"}; Mistral and old vLLM: flat, with "object":"error"; FastAPI: {"detail":…}
  const detail = body['detail'];
  const message =
    asText(inner) ?? asText(body['message']) ?? (Array.isArray(detail) ? printed(detail) : null);
  return message === null ? null : { ...readFields(body, message, redact), raw: null };
}

/** The text without our keys, however they are escaped in it: JSON can write every letter in several ways. */
function cleanJson(body: JsonObject, text: string, redact: Redact): string {
  const plain = printed(body);
  const clean = redact(plain);
  return clean === plain ? redact(text) : clean;
}

function readFields(fields: JsonObject, message: string, redact: Redact): Omit<UpstreamError, 'raw'> {
  const clean = (value: Json | undefined) => {
    const text = asText(value) ?? (typeof value === 'number' ? String(value) : null);
    return text === null ? null : redact(text);
  };
  return {
    message: redact(message),
    type: clean(fields['type']),
    param: clean(fields['param']),
    code: clean(fields['code']),
  };
}

function asText(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** What the patterns look at. The whole text also holds nested codes, such as Azure's `innererror`. Bounded, as are the gaps in the patterns: they backtrack. */
function searchable(error: UpstreamError | null, text: string): string {
  return error === null
    ? text.slice(0, 2048)
    : `${error.code} ${error.type} ${error.message.slice(0, 2048)} ${text.slice(0, 4096)}`;
}

function describe(answer: FailedAnswer, redact: Redact): string {
  // Cleaned before it is cut: half a key would not be found.
  const start = redact(answer.text).replace(/\s+/g, ' ').trim().slice(0, 200);
  return start === '' ? `HTTP ${answer.status}` : `HTTP ${answer.status}: ${start}`;
}

/** As JSON. What is nested so deep that it can be parsed, but not printed, must not end the process that reads it. */
function printed(value: Json | undefined): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return 'an error nested too deeply to be shown';
  }
}
