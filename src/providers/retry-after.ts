import { isJsonObject, type Json } from '../core/json.ts';

/** Headers as undici gives them: names in lower case. */
export type WireHeaders = Readonly<Record<string, string | string[] | undefined>>;

export function headerText(headers: WireHeaders, name: string): string | null {
  const value = headers[name];
  return value === undefined ? null : Array.isArray(value) ? (value[0] ?? null) : value;
}

/** Nobody's wait is taken for longer than a day: what is more is a mistake of units. Milliseconds. */
const LONGEST_WAIT = 24 * 60 * 60 * 1000;

/**
 * How long an upstream asked to be left alone, in milliseconds (0 to a day), or null if it did not say or made no sense.
 * Asked in turn: `retry-after-ms`, `retry-after` (seconds, with a fraction, or a date), the body's retry delay, and the reset headers
 * of a limit that has nothing left. `wallMs` is now, for dates.
 */
export function readRetryAfter(headers: WireHeaders, body: Json | undefined, wallMs: number): number | null {
  return (
    readMilliseconds(headerText(headers, 'retry-after-ms')) ??
    readSecondsOrDate(headerText(headers, 'retry-after'), wallMs) ??
    readRetryInfo(body) ??
    readResets(headers, wallMs)
  );
}

function clamp(ms: number): number | null {
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, LONGEST_WAIT) : null;
}

const NUMBER = /^\s*\d+(\.\d+)?\s*$/;

function readMilliseconds(text: string | null): number | null {
  return text !== null && NUMBER.test(text) ? clamp(Number(text)) : null;
}

function readSecondsOrDate(text: string | null, wallMs: number): number | null {
  if (text === null) return null;
  if (NUMBER.test(text)) return clamp(Number(text) * 1000);
  return readDate(text, wallMs);
}

/** An HTTP date or RFC 3339; one that has passed is no wait at all. `Date.parse` alone takes "-1" for a year, and "soon 5" for May. */
function readDate(text: string, wallMs: number): number | null {
  if (!/^\s*((Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? |\d{4}-\d{2}-\d{2}T)/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : clamp(Math.max(0, at - wallMs));
}

/** Google's `error.details[].retryDelay`, a protobuf duration such as "34.07s". */
function readRetryInfo(body: Json | undefined): number | null {
  const error = isJsonObject(body) ? body['error'] : undefined;
  const details = isJsonObject(error) ? error['details'] : undefined;
  if (!Array.isArray(details)) return null;
  for (const detail of details) {
    const delay = isJsonObject(detail) ? detail['retryDelay'] : undefined;
    if (typeof delay === 'string') return readDuration(delay);
  }
  return null;
}

/** Go's way to write durations, as OpenAI and Groq do: `12ms`, `7.66s`, `6m0s`, `1h2m3s`. */
function readDuration(text: string): number | null {
  const match = /^\s*(?=\d)(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?\s*$/.exec(
    text,
  );
  if (match === null) return null;
  const [, hours = 0, minutes = 0, seconds = 0, milliseconds = 0] = match;
  return clamp(
    Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1000 + Number(milliseconds),
  );
}

/** Pairs of "what is left" and "when it fills up again". */
const LIMITS = [
  ['x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests'],
  ['x-ratelimit-remaining-tokens', 'x-ratelimit-reset-tokens'],
  ['x-ratelimit-remaining', 'x-ratelimit-reset'],
  ['anthropic-ratelimit-requests-remaining', 'anthropic-ratelimit-requests-reset'],
  ['anthropic-ratelimit-tokens-remaining', 'anthropic-ratelimit-tokens-reset'],
  ['anthropic-ratelimit-input-tokens-remaining', 'anthropic-ratelimit-input-tokens-reset'],
  ['anthropic-ratelimit-output-tokens-remaining', 'anthropic-ratelimit-output-tokens-reset'],
] as const;

/** The longest reset among the limits that have nothing left: before that, a try is refused again. */
function readResets(headers: WireHeaders, wallMs: number): number | null {
  let longest: number | null = null;
  for (const [remainingName, resetName] of LIMITS) {
    const remaining = headerText(headers, remainingName);
    const reset = headerText(headers, resetName);
    if (reset === null || remaining === null || Number(remaining) > 0) continue;
    const wait = readReset(reset, wallMs);
    if (wait !== null && (longest === null || wait > longest)) longest = wait;
  }
  return longest;
}

/** A duration, a date, seconds, or a moment in seconds or milliseconds since 1970. */
export function readReset(text: string, wallMs: number): number | null {
  if (!NUMBER.test(text)) return readDuration(text) ?? readDate(text, wallMs);
  const number = Number(text);
  if (number > 1e12) return clamp(Math.max(0, number - wallMs));
  if (number > 1e9) return clamp(Math.max(0, number * 1000 - wallMs));
  return clamp(number * 1000);
}
