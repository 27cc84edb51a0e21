import type { Socket } from 'node:net';
import { ApiError, errorBody } from '../core/errors.ts';

/** What Node's parser and its timeouts say of bytes that are no request, or not yet one. */
export function brokenHttp(error: Error & { code?: string }): ApiError {
  switch (error.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('request_timeout', 'The request did not come in time.');
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError('headers_too_large', 'The headers are too large.');
    default:
      return new ApiError('invalid_value', 'This is not valid HTTP.');
  }
}

/** There is no request to answer, only a socket. */
export function answerSocket(socket: Socket, error: ApiError, requestId: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = errorBody(error);
  const lines = [
    `HTTP/1.1 ${error.status} ${REASONS[error.status] ?? 'Bad Request'}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    ...(error.shouldRetry === null ? [] : [`x-should-retry: ${error.shouldRetry}`]),
    'connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

const REASONS: Readonly<Record<number, string>> = {
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};
