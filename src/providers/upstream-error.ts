import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { UpstreamError } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { headerText, type WireHeaders } from './retry-after.ts';

/** An error as an upstream wrote it. */
export interface WrittenError {
  body: Json | undefined;
  /** `body` as it came. */
  text: string;
  /** What it came with, or means. */
  status: number;
  /** What Amazon calls it. */
  exception: string | null;
}

/** The error in whatever shape a host wrote it; null if the body holds none. */
export function readUpstreamError(written: WrittenError, redact: Redact): UpstreamError | null {
  const { body, text } = written;
  if (!isJsonObject(body)) return null;
  const inner = body['error'];
  if (isJsonObject(inner)) {
    const own = asText(inner['message']);
    const fields = { ...readFields(inner, redact), message: redact(own ?? printed(inner)) };
    const translated = inTheirWords(inner, written, redact);
    if (translated !== null) return { ...fields, ...translated, raw: null };
    return { ...fields, raw: own === null ? null : cleanJson(body, text, redact) };
  }
  // xAI: {"code":"…","error":"text"}; Mistral and old vLLM: flat, with "object":"error"; Amazon: {"message":"…"}; FastAPI: {"detail":…}
  const { message, detail } = body;
  const told =
    asText(inner) ??
    asText(message) ??
    asText(body['Message']) ??
    (isJsonObject(message) ? printed(message) : null) ??
    (Array.isArray(detail) ? printed(detail) : null);
  if (told === null) return null;
  const translated = inTheirWords(body, written, redact);
  return { ...readFields(body, redact), message: redact(told), ...translated, raw: null };
}

/**
 * OpenAI's fields for an error that has Anthropic's, Google's or Amazon's: their word for it becomes the code, and the type says whose fault it is.
 * Null: it has OpenAI's already.
 */
function inTheirWords(
  error: JsonObject,
  { body, status, exception }: WrittenError,
  redact: Redact,
): Pick<UpstreamError, 'type' | 'code'> | null {
  const word = theirWord(error, body, exception);
  if (word === null) return null;
  const known = asText(error['code']) ?? codeInDetails(error);
  const code = known ?? (word === 'invalid_request_error' || word === 'error' ? null : word);
  return { type: typeOfStatus(status), code: code === null ? null : redact(code) };
}

function theirWord(error: JsonObject, body: Json | undefined, exception: string | null): string | null {
  if (exception !== null) return exception;
  const status = googleStatus(body);
  if (status !== null) return status.toLowerCase();
  // Anthropic's. An event of OpenAI's responses is flat and has the same mark.
  return isJsonObject(body) && body['type'] === 'error' ? (asText(error['type']) ?? 'error') : null;
}

/** Anthropic's `details.error_code`, or the reason in Google's list of details. */
function codeInDetails({ details }: JsonObject): string | null {
  if (isJsonObject(details)) return asText(details['error_code']);
  if (!Array.isArray(details)) return null;
  for (const detail of details) {
    const reason = isJsonObject(detail) ? asText(detail['reason']) : null;
    if (reason !== null) return reason.toLowerCase();
  }
  return null;
}

function typeOfStatus(status: number): string {
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** Google's word for the status, such as `INVALID_ARGUMENT`, beside the number that it has for a code. */
export function googleStatus(body: Json | undefined): string | null {
  const error = isJsonObject(body) ? body['error'] : undefined;
  const status = isJsonObject(error) && typeof error['code'] === 'number' ? asText(error['status']) : null;
  return status !== null && /^[A-Z_]+$/.test(status) ? status : null;
}

/** Amazon's name for what went wrong: in a header as `Name:https://…`, or in the body behind a `#`. */
export function exceptionName(headers: WireHeaders, body: Json | undefined): string | null {
  const written = headerText(headers, 'x-amzn-errortype') ?? (isJsonObject(body) ? body['__type'] : null);
  if (typeof written !== 'string') return null;
  const name = /(?:^|#)([A-Za-z]{1,100})(?::|$)/.exec(written.trim());
  return name?.[1] ?? null;
}

/** An exception in a stream of Amazon's, which may be named by the member that holds it: `{"throttlingException":{"message":"…"}}`. */
export function exceptionIn(body: JsonObject): { body: JsonObject; exception: string | null } {
  for (const [name, value] of Object.entries(body)) {
    if (/^[A-Za-z]{1,100}Exception$/.test(name) && isJsonObject(value))
      return { body: value, exception: name };
  }
  const inner = body['error'];
  const name = isJsonObject(inner) ? (inner['type'] ?? inner['code'] ?? inner['__type']) : body['type'];
  const isException = typeof name === 'string' && /^[A-Za-z]{1,100}Exception$/.test(name);
  return { body, exception: isException ? name : exceptionName({}, body) };
}

/** The text without our keys, however they are escaped in it: JSON can write every letter in several ways. */
function cleanJson(body: JsonObject, text: string, redact: Redact): string {
  const plain = printed(body);
  const clean = redact(plain);
  return clean === plain ? redact(text) : clean;
}

function readFields(fields: JsonObject, redact: Redact): Pick<UpstreamError, 'type' | 'param' | 'code'> {
  const clean = (value: Json | undefined) => {
    const text = asText(value) ?? (typeof value === 'number' ? String(value) : null);
    return text === null ? null : redact(text);
  };
  return { type: clean(fields['type']), param: clean(fields['param']), code: clean(fields['code']) };
}

function asText(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/**
 * What patterns look at. The whole text also holds nested codes, such as Azure's `innererror`. Bounded, as are the gaps in the patterns: they
 * backtrack.
 */
export function searchable(error: UpstreamError | null, exception: string | null, text: string): string {
  return error === null
    ? `${exception} ${text.slice(0, 2048)}`
    : `${exception} ${error.code} ${error.type} ${error.message.slice(0, 2048)} ${text.slice(0, 4096)}`;
}

/** What the host says in words of its own: codes, and the message up to the first quotation mark. An apostrophe is none. */
export function hostsOwnWords(error: UpstreamError | null, exception: string | null): string {
  if (error === null) return '';
  const [unquoted = ''] = error.message.slice(0, 2048).split(/(?<![A-Za-z])['"`‘“]/, 1);
  return `${exception} ${error.code} ${error.type} ${unquoted}`;
}

/** As JSON. What is nested so deep that it can be parsed, but not printed, must not end the process that reads it. */
export function printed(value: Json | undefined): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return 'an error nested too deeply to be shown';
  }
}
