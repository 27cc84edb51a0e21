import { ApiError } from '../core/errors.ts';
import { JsonBody } from '../core/json-body.ts';

/** Reads a client's body. Throws an ApiError that says what is wrong with it. */
export function parseBody(bytes: Buffer): JsonBody {
  if (bytes.length === 0)
    throw new ApiError('invalid_json', 'The request has no body; a JSON object was expected.');
  try {
    return JsonBody.parse(bytes);
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new ApiError('invalid_json', `The body is not valid JSON: ${error.message}`);
    if (error instanceof RangeError)
      throw new ApiError('invalid_json', `The body cannot be read: ${error.message}.`);
    throw new ApiError('invalid_value', 'The body must be a JSON object.');
  }
}

export function missing(param: string): ApiError {
  return new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
}

/** `expected`: such as "a non-empty string". */
export function invalid(param: string, expected: string): ApiError {
  return new ApiError('invalid_value', `Invalid '${param}': expected ${expected}.`, { param });
}
