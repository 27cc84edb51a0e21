import type { ApiError } from '../core/errors.ts';
import type { ErrorFields } from '../dialects/dialect.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import type { Exchange, Headers } from './exchange.ts';

type Answerable = Pick<Exchange, 'send' | 'dialect' | 'requestId'>;

/** Answers with an error in the shape of the client's dialect. */
export function sendError(exchange: Answerable, error: ApiError, headers: Headers): void {
  const all = { 'content-type': 'application/json', ...headers, ...errorHeaders(error) };
  exchange.send(error.status, all, errorText(exchange, error, error.status));
}

/** The id of an exchange, under the names by which SDKs look for it. */
export function idHeaders({ dialect, requestId }: Pick<Exchange, 'dialect' | 'requestId'>): Headers {
  const id = { 'x-request-id': requestId };
  return dialect === 'messages' || dialect === 'count_tokens' ? { ...id, 'request-id': requestId } : id;
}

/** An error's body, in the client's words. */
export function errorText(exchange: Answerable, error: ErrorFields, status: number): string {
  const { message, type, param, code } = error;
  return JSON.stringify(
    DIALECTS[exchange.dialect].error({ message, type, param, code }, status, exchange.requestId),
  );
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
