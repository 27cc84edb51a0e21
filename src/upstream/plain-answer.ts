import { isJsonObject, type JsonObject, tryParseJson } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { readInBandError } from '../providers/openai/failure.ts';
import { plainFailure } from './transport-failure.ts';

/** Checks the body of an answer with status 200: a whole chat completion, or a failure that only looks like one. */
export function readPlainAnswer(body: Buffer, redact: Redact): { value: JsonObject } | { failure: Failure } {
  const value = tryParseJson(body.toString());
  if (!isJsonObject(value)) {
    const start = redact(body.toString('utf8', 0, 200)).replace(/\s+/g, ' ');
    return {
      failure: plainFailure('broken_body', `the answer with status 200 was not a JSON object: ${start}`),
    };
  }
  if (value['error'] != null) return { failure: readInBandError(value, redact) };
  if (!Array.isArray(value['choices'])) {
    return { failure: plainFailure('broken_body', 'the answer with status 200 had no choices') };
  }
  return { value };
}
