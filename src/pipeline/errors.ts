import { ApiError, internalError, storeAway } from '../core/errors.ts';
import type { ErrorFields } from '../dialects/dialect.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import type { Exchange, Headers } from './exchange.ts';
import { addHeaders } from './header-list.ts';

type Answerable = Pick<Exchange, 'send' | 'dialect' | 'requestId'>;

/** Answers with an error in the shape of the client's dialect. `headers`: as `firstHeaders` made them, or more. */
export function sendError(exchange: Answerable, error: ApiError, headers: Headers): void {
  addHeaders(headers, errorHeaders(error));
  exchange.send(error.status, headers, errorText(exchange, error, error.status));
}

/**
 * Does what a client asked for that is no model's answer, and tells it what is in the way. Rejects only with a mistake of ours, of which the client has been told as
 * well. `away`: what it is told cannot be done where a store is away; null: none is asked.
 */
export async function answerErrors(
  exchange: Answerable,
  work: () => void | Promise<void>,
  away: string | null = null,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const known = error instanceof StateUnavailable && away !== null ? storeAway(away) : error;
    const shown = known instanceof ApiError ? known : internalError();
    sendError(exchange, shown, firstHeaders(exchange));
    if (known !== shown) throw error;
  }
}

/** What every answer begins with: its type, and the id of its exchange under the names by which SDKs look for it. */
export function firstHeaders(
  { dialect, requestId }: Pick<Exchange, 'dialect' | 'requestId'>,
  type = 'application/json',
): Headers {
  const headers = ['content-type', type, 'x-request-id', requestId];
  if (dialect === 'messages' || dialect === 'count_tokens') headers.push('request-id', requestId);
  return headers;
}

/** An error's body, in the client's words. */
export function errorText(exchange: Answerable, error: ErrorFields, status: number): string {
  const { message, type, param, code } = error;
  return JSON.stringify(
    DIALECTS[exchange.dialect].error({ message, type, param, code }, status, exchange.requestId),
  );
}

/** The headers that an error brings of its own. `retry-after` is whole seconds and never 0: SDKs would be back at once. */
export function errorHeaders(error: ApiError): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { ...error.headers };
  if (error.retryAfterMs !== null) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
    headers['retry-after-ms'] = String(Math.max(1, Math.ceil(error.retryAfterMs)));
  }
  if (error.shouldRetry !== null) headers['x-should-retry'] = String(error.shouldRetry);
  return headers;
}
