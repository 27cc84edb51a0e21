import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../core/json.ts';
import type { Failure, FailureKind } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { STATUS_OF_WORD } from './failure-words.ts';
import { readRetryAfter, type WireHeaders } from './retry-after.ts';
import {
  exceptionIn,
  exceptionName,
  googleStatus,
  hostsOwnWords,
  printed,
  readUpstreamError,
  searchable,
} from './upstream-error.ts';

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
  /context_length_exceeded|maximum context length|maximum prompt length|context length exceeded|prompt is too long|input is too long|exceeds the maximum number of tokens|too many tokens|request_too_large_for_model|contextwindowexceedederror|exceeds? (?:the )?(?:available )?context (?:size|window|limit)/i;

const FILTERED =
  /content_policy_violation|content_filter|responsibleaipolicyviolation|moderation_blocked|blocked by content filtering|invalid_prompt|bio_policy|misalignment_policy_violation/i;

/** Money is gone, whatever status says so; or a quota that no wait of ours brings back. */
const OUT_OF_CREDIT =
  /insufficient_quota|credit_balance_exhausted|billing_hard_limit_reached|insufficient[ _]balance|credit balance is too low|spend(?:ing)? limit|reached your (?:specified )?(?:workspace )?api usage limits?|not set up for billing|(?:enforced|contract)_spend_limit|billing_not_active|servicequotaexceeded|too many tokens per day|budget_exceeded/i;

/** A 400 that is about our key or account, not about what the client sent. */
const ABOUT_OUR_KEY =
  /api_key_invalid|invalid_api_key|invalid api key|incorrect api key|api key not valid|api key expired|organization .{0,200}(?:disabled|on hold)|account is not authorized|operation not allowed|incompletesignature|no_db_connection/i;

/** What a host says of a model that it does not have, whatever status it gives that. The client never named it: the target did. */
const NOT_A_MODEL =
  /model_not_found|deploymentnotfound|invalid_model|unknown_model|unavailable_model|model not exist|not a valid model|on-demand throughput|model identifier is invalid|invalid model name passed|operationnotsupported|api version not supported/i;

/** With 404: the model, or a URL that leads nowhere, and not something that the client named. */
const NOT_FOUND =
  /model_not_available|not_found_error|resourcenotfoundexception|no endpoints found|no allowed providers|resource not found|invalid url|(?:model|deployment)\b.{0,200}\b(?:not found|does not exist|not exist|no access|unavailable|not pulled|unknown|not available)|(?:no|unknown|invalid) (?:such )?(?:model|deployment)/i;

/** The provider behind a LiteLLM says so. Whatever it says of a key or of money: ours is in order, and so is all else that is behind it. */
const BEHIND_LITELLM = /\blitellm\.\w+Error:/;

/** With 404 and 409, Anthropic: the thread that the client goes on from, which its SDKs replace by themselves. */
const ABOUT_A_THREAD = /\bthread_(?:not_found|already_continued|continue_in_flight)\b/;

/** With 403: a file that the client named is not ours to read, which says nothing of our key. */
const NOT_OUR_FILE = /permission to access the file|storage\.objects\.get/i;

/**
 * The one place where an answer becomes an outcome: status first, then what the body says. In OpenAI's dialect, as all the hosts write it
 * that are known to (`error` as object or text, flat, or `detail`), and in Anthropic's, Google's and Amazon's own.
 */
export function readFailure(answer: FailedAnswer, redact: Redact): Failure {
  const parsed = tryParseJson(answer.text);
  // Google puts a list round the error where it was not asked for events.
  const body = Array.isArray(parsed) ? parsed[0] : parsed;
  const exception = exceptionName(answer.headers, body);
  const text = Array.isArray(parsed) ? printed(body) : answer.text;
  const error = readUpstreamError({ body, text, status: answer.status, exception }, redact);
  const words = searchable(error, exception, answer.text);
  const own = hostsOwnWords(error, exception);
  return {
    kind: kindOfStatus(answer.status, { words, own, body, hasError: error !== null }),
    status: answer.status,
    message: error?.message ?? describe(answer, redact),
    retryAfterMs: readRetryAfter(answer.headers, body, answer.wallMs),
    error,
  };
}

/**
 * An error that came with status 200: as the whole body, or as an event of a stream. Some hosts name the status they
 * mean in `code`; others only a type, or the name of an exception. What names nothing we know is a broken answer.
 */
export function readInBandError(told: JsonObject, redact: Redact): Failure {
  const { body, exception } = exceptionIn(told);
  const text = printed(body);
  const named = namedStatus(body['error'] ?? body, exception);
  const error = readUpstreamError({ body, text, status: named ?? 500, exception }, redact);
  const words = searchable(error, exception, text);
  const said = { words, own: hostsOwnWords(error, exception), body, hasError: true };
  const kind = named === null ? kindOfWords(words) : kindOfStatus(named, said);
  return {
    kind,
    status: named,
    message: error?.message ?? 'the upstream sent an error with status 200',
    retryAfterMs: readRetryAfter({}, body, 0),
    error,
  };
}

/** What an answer says beside its status. */
interface Said {
  /** All of it. */
  words: string;
  /** What no client can have put there: codes, and a message up to where it begins to quote. */
  own: string;
  body: Json | undefined;
  /** There is an error in the body. */
  hasError: boolean;
}

function kindOfStatus(status: number, said: Said): FailureKind {
  const { words, own, body, hasError } = said;
  if (status >= 300 && status < 400) return 'target_misconfigured';
  switch (status) {
    case 401:
      return BEHIND_LITELLM.test(own) ? 'target_misconfigured' : 'credentials_refused';
    case 402:
      return 'out_of_credit';
    case 403:
      if (NOT_OUR_FILE.test(words)) return 'invalid_request';
      return isModeration(body) ? 'content_filtered' : 'credentials_refused';
    case 404:
      if (ABOUT_A_THREAD.test(own)) return 'invalid_request';
      // Without an error in it, it is not the host's own word: a base_url that leads nowhere.
      return !hasError ||
        googleStatus(body) === 'NOT_FOUND' ||
        NOT_A_MODEL.test(words) ||
        NOT_FOUND.test(words)
        ? 'target_misconfigured'
        : 'invalid_request';
    case 407:
    case 410:
      return 'target_misconfigured';
    case 429:
      return OUT_OF_CREDIT.test(words) || isDailyQuota(body) ? outOfCredit(own) : 'rate_limited';
    case 409:
      return ABOUT_A_THREAD.test(own) ? 'invalid_request' : 'server_error';
    case 408:
    case 424:
    case 425:
    case 499: // Google: cancelled, though nobody did
      return 'server_error';
    case 498: // Groq: no room in the flex tier
    case 503:
    case 529:
      return 'overloaded';
  }
  if (status >= 500) return 'server_error';
  return kindOfRefusal(status, said);
}

/** An error that names no status: only what no host says of itself is told from a broken answer. */
function kindOfWords(words: string): FailureKind {
  if (TOO_LONG.test(words)) return 'context_too_long';
  return FILTERED.test(words) ? 'content_filtered' : 'broken_body';
}

/** 400, 413, 422 and the like: mostly the client's fault, but not always. */
function kindOfRefusal(status: number, { words, own, body }: Said): FailureKind {
  if (TOO_LONG.test(words)) return 'context_too_long';
  if (FILTERED.test(words)) return 'content_filtered';
  // A key that cools down is missed by all: a client must not be able to bring that about by what an error quotes of it.
  if (OUT_OF_CREDIT.test(own)) return outOfCredit(own);
  if (ABOUT_OUR_KEY.test(words)) return 'target_misconfigured';
  if (status === 400 && NOT_A_MODEL.test(words)) return 'target_misconfigured';
  // Google: not from this country, or not without a bill.
  if (googleStatus(body) === 'FAILED_PRECONDITION') return 'target_misconfigured';
  // Groq: the request is larger than this model's tokens a minute; another target may well take it.
  if (status === 413 && /rate_limit_exceeded/.test(words)) return 'context_too_long';
  // Groq: the model wrote a tool call, or JSON, that does not parse; the same again often goes well.
  if (status === 400 && /tool_use_failed|json_validate_failed/.test(words)) return 'server_error';
  return 'invalid_request';
}

function outOfCredit(own: string): FailureKind {
  return BEHIND_LITELLM.test(own) ? 'target_misconfigured' : 'out_of_credit';
}

/** OpenRouter answers 403 when its moderation flags the prompt, and says why in `metadata`. */
function isModeration(body: Json | undefined): boolean {
  const error = isJsonObject(body) ? body['error'] : undefined;
  const metadata = isJsonObject(error) ? error['metadata'] : undefined;
  return isJsonObject(metadata) && ('flagged_input' in metadata || 'reasons' in metadata);
}

/** Google: a quota for the day is used up. The wait that stands beside it is that of another quota. */
function isDailyQuota(body: Json | undefined): boolean {
  const error = isJsonObject(body) ? body['error'] : undefined;
  const details = isJsonObject(error) ? error['details'] : undefined;
  if (!Array.isArray(details)) return false;
  return details.some((detail) => {
    const violations = isJsonObject(detail) ? detail['violations'] : undefined;
    return (
      Array.isArray(violations) &&
      violations.some((one) => isJsonObject(one) && /PerDay/i.test(String(one['quotaId'])))
    );
  });
}

/** The status that an in-band error stands for; null: it names none. */
function namedStatus(error: Json | undefined, exception: string | null): number | null {
  const known = exception === null ? undefined : STATUS_OF_WORD.get(exception.toLowerCase());
  if (known !== undefined) return known;
  if (!isJsonObject(error)) return null;
  for (const field of ['code', 'status', 'type'] as const) {
    const value = error[field];
    const number = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && number >= 400 && number <= 599) return number;
    if (typeof value === 'string') {
      const status = STATUS_OF_WORD.get(value.toLowerCase());
      if (status !== undefined) return status;
    }
  }
  return null;
}

function describe(answer: FailedAnswer, redact: Redact): string {
  // Cleaned before it is cut: half a key would not be found.
  const start = redact(answer.text).replace(/\s+/g, ' ').trim().slice(0, 200);
  return start === '' ? `HTTP ${answer.status}` : `HTTP ${answer.status}: ${start}`;
}
