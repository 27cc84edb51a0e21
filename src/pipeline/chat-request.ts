import { ApiError } from '../core/errors.ts';
import { isJsonObject } from '../core/json.ts';
import { JsonBody } from '../core/json-body.ts';

/** A chat request, as far as a relay must understand it. */
export interface ChatRequest {
  body: JsonBody;
  model: string;
  streaming: boolean;
  /** The client asked for the usage chunk of its stream. */
  wantsUsage: boolean;
}

/** What is reserved goes by them, so a text that a host would take for a number will not do. */
const NUMBERS = ['max_completion_tokens', 'max_tokens', 'n'];

/** Reads what the client sent. Throws an ApiError that names the field. Whatever is not named here is passed on unseen. */
export function readChatRequest(bytes: Buffer): ChatRequest {
  const body = parse(bytes);
  const { model, messages, stream, stream_options: streamOptions } = body.value;
  if (model === undefined) throw missing('model');
  if (typeof model !== 'string' || model === '') throw invalid('model', 'a non-empty string');
  if (messages === undefined) throw missing('messages');
  if (!Array.isArray(messages) || messages.length === 0)
    throw invalid('messages', 'a list of at least one message');
  const wrong = messages.findIndex((message) => !isJsonObject(message));
  if (wrong >= 0) throw invalid(`messages[${wrong}]`, 'an object');
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
    throw invalid('stream', 'true or false');
  if (streamOptions !== undefined && streamOptions !== null && !isJsonObject(streamOptions)) {
    throw invalid('stream_options', 'an object');
  }
  for (const name of NUMBERS) {
    const value = body.value[name];
    if (value !== undefined && value !== null && typeof value !== 'number') throw invalid(name, 'a number');
  }
  const wantsUsage = isJsonObject(streamOptions) && streamOptions['include_usage'] === true;
  return { body, model, streaming: stream === true, wantsUsage };
}

function parse(bytes: Buffer): JsonBody {
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

function missing(param: string): ApiError {
  return new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
}

function invalid(param: string, expected: string): ApiError {
  return new ApiError('invalid_value', `Invalid '${param}': expected ${expected}.`, { param });
}
