import { ApiError, type ErrorCode } from '../core/errors.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import type { SentError } from './questions.ts';

/** To be sent to another process. */
export function sent(error: unknown): SentError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message } = error;
  if (error instanceof ApiError) {
    const { code, type, param, retryAfterMs, shouldRetry, headers } = error;
    return { name, message, api: { code, type, param, retryAfterMs, shouldRetry, headers } };
  }
  return { name, message, ...('code' in error ? { code: String(error.code) } : {}) };
}

/** As it was before it was sent, as far as anybody looks at it. */
export function received({ name, message, code, api }: SentError): Error {
  if (api !== undefined) {
    const { code: known, ...details } = api;
    return new ApiError(known as ErrorCode, message, details);
  }
  if (name === 'StateUnavailable') return new StateUnavailable(message);
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
