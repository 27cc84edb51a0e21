import { type ApiError, errorBody } from '../core/errors.ts';
import type { Exchange, Headers } from './exchange.ts';

/** Answers with an error in OpenAI's shape. */
export function sendError(exchange: Pick<Exchange, 'send'>, error: ApiError, headers: Headers): void {
  const all = { 'content-type': 'application/json', ...headers, ...errorHeaders(error) };
  exchange.send(error.status, all, errorBody(error));
}

/** The headers that an error brings of its own. `retry-after` is whole seconds and never 0: SDKs would be back at once. */
export function errorHeaders(error: ApiError): Headers {
  const headers: Record<string, string> = { ...error.headers };
  if (error.retryAfterMs !== null) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
    headers['retry-after-ms'] = String(Math.max(1, Math.ceil(error.retryAfterMs)));
  }
  if (error.shouldRetry !== null) headers['x-should-retry'] = String(error.shouldRetry);
  return headers;
}
