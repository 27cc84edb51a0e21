import type { IncomingMessage } from 'node:http';

/** What a request id of the client's may look like. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** The client's own id, or a new one if it brings none that will do. */
export function requestIdOf(request: IncomingMessage, newId: () => string): string {
  const brought = request.headers['x-request-id'];
  return typeof brought === 'string' && REQUEST_ID.test(brought) ? brought : newId();
}
