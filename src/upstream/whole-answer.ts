import { isJsonObject, type JsonObject, tryParseJson } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { readFailure, readInBandError } from '../providers/openai/failure.ts';
import { headerText, type WireHeaders } from '../providers/retry-after.ts';
import { contentCoding } from './decompress.ts';
import { plainFailure } from './transport-failure.ts';

/** An answer whose body has come whole, or as much of it as will come. */
export interface WholeAnswer {
  status: number;
  headers: WireHeaders;
  /** Null: it came compressed, and could not be unpacked. */
  body: Buffer | null;
  /** Now, in milliseconds since 1970. */
  wallMs: number;
}

/** Reads an answer: a chat completion with the bytes to pass on, or what it is instead. */
export function readWholeAnswer(
  { status, headers, body, wallMs }: WholeAnswer,
  redact: Redact,
): { body: Buffer; value: JsonObject } | { failure: Failure } {
  // Of an error, the status says enough.
  if (status >= 300) {
    return { failure: readFailure({ status, headers, text: body?.toString() ?? '', wallMs }, redact) };
  }
  if (body === null) {
    const coding = contentCoding(headers);
    const damaged = plainFailure('broken_body', `damaged ${coding} body`);
    return { failure: coding === 'unknown' ? unknownCoding(headers, redact) : damaged };
  }
  const read = readPlainAnswer(body, redact);
  return 'failure' in read ? read : { body, value: read.value };
}

/** It came compressed in a way that we cannot unpack. */
export function unknownCoding(headers: WireHeaders, redact: Redact): Failure {
  const coding = redact(headerText(headers, 'content-encoding') ?? '').slice(0, 50);
  return plainFailure('broken_body', `cannot unpack content-encoding ${coding}`);
}

/** Checks the body of an answer with status 200: a whole chat completion, or a failure that only looks like one. */
function readPlainAnswer(body: Buffer, redact: Redact): { value: JsonObject } | { failure: Failure } {
  const value = tryParseJson(body.toString());
  if (!isJsonObject(value)) {
    const what = 'the answer with status 200 was not a JSON object';
    // Cleaned before it is cut: half a key would not be found.
    const start = redact(body.toString()).replace(/\s+/g, ' ').trim().slice(0, 200);
    // A page or a proxy's words help whoever looks into it. What began as JSON is a piece of an answer, and nobody's business.
    return { failure: plainFailure('broken_body', /^[{["]/.test(start) ? what : `${what}: ${start}`) };
  }
  if (value['error'] || value['object'] === 'error') return { failure: readInBandError(value, redact) };
  const choices = value['choices'];
  if (!Array.isArray(choices) || choices.length === 0) {
    return { failure: plainFailure('broken_body', 'the answer with status 200 had no choices') };
  }
  // OpenRouter puts the error of the host behind it into the choice.
  const broken = choices.find((choice) => isJsonObject(choice) && choice['finish_reason'] === 'error');
  if (isJsonObject(broken)) return { failure: readInBandError(broken, redact) };
  return { value };
}
