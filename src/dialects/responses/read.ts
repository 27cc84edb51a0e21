import { isJsonObject, type JsonObject } from '../../core/json.ts';
import type { JsonBody } from '../../core/json-body.ts';
import { invalid, missing, parseBody } from '../body.ts';

/** A request, as far as a relay must understand it. */
export interface Asked {
  body: JsonBody;
  model: string;
  streaming: boolean;
}

/** Where the API itself has the input, or the rest of it. */
const INPUT_ELSEWHERE = ['previous_response_id', 'conversation', 'prompt'];

/** Reads what the client sent. Throws an ApiError that names the field. Whatever is not named here is passed on unseen. */
export function readResponses(bytes: Buffer): Asked {
  const body = parseBody(bytes);
  const { model, input, stream, stream_options: options, max_output_tokens: most } = body.value;
  if (model === undefined || model === null) throw missing('model');
  if (typeof model !== 'string' || model === '') throw invalid('model', 'a non-empty string');
  if (input !== undefined && input !== null) checkInput(body.value);
  else if (!hasInputElsewhere(body.value)) throw missing('input');
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean') {
    throw invalid('stream', 'true or false');
  }
  if (options !== undefined && options !== null && !isJsonObject(options)) {
    throw invalid('stream_options', 'an object');
  }
  // What is reserved goes by it, so a text that a host would take for a number will not do.
  if (most !== undefined && most !== null && typeof most !== 'number') {
    throw invalid('max_output_tokens', 'a number');
  }
  return { body, model, streaming: stream === true };
}

function checkInput(request: JsonObject): void {
  const { input } = request;
  if (typeof input === 'string') return;
  if (!Array.isArray(input)) throw invalid('input', 'a string or a list of items');
  if (input.length === 0 && !hasInputElsewhere(request)) throw invalid('input', 'at least one item');
  const wrong = input.findIndex((item) => !isJsonObject(item));
  if (wrong >= 0) throw invalid(`input[${wrong}]`, 'an object');
}

function hasInputElsewhere(request: JsonObject): boolean {
  return INPUT_ELSEWHERE.some((name) => request[name] !== undefined && request[name] !== null);
}
