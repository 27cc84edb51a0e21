import type { IncomingMessage } from 'node:http';
import { ApiError } from '../core/errors.ts';
import { DIALECT_PATHS } from '../dialects/paths.ts';
import { notServed } from './allowed.ts';
import { announcedBytes } from './body-reader.ts';

/** Streams that can be come back to, below it, by their ids. */
export const STREAMS = '/v1/streams/';

/** What is served, beside HEAD where GET is. A path that ends in a slash stands for all below it. */
const ALLOWED = [
  ...[...DIALECT_PATHS.keys()].map((path) => ({ path, methods: ['POST'] })),
  { path: '/v1/models', methods: ['GET'] },
  { path: '/v1/models/', methods: ['GET'] },
  { path: '/v1/usage', methods: ['GET'] },
  { path: STREAMS, methods: ['GET', 'DELETE'] },
];

/** Without a query; and of an absolute form, in which proxies ask, without the scheme and the host. */
export function pathOf({ url = '' }: IncomingMessage): string {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  const query = url.indexOf('?');
  if (start < 0) return url;
  return query < 0 ? url.slice(start) : url.slice(start, query);
}

/** Nothing is served at this path, or not by this method. */
export function nothingThere(request: IncomingMessage): ApiError {
  const path = pathOf(request);
  return notServed(request.method ?? '', path, methodsAt(path), hintFor(path));
}

function methodsAt(path: string): readonly string[] | null {
  const served = ALLOWED.find((one) =>
    one.path.endsWith('/') ? path.startsWith(one.path) : path === one.path,
  );
  return served?.methods ?? null;
}

/** What an SDK was told for its base URL stands before the path: mostly that is what is wrong. */
function hintFor(path: string): string {
  const meant = `/v1/${path.replace(/^(?:\/+v1(?=\/))*\/*/, '')}`;
  return methodsAt(meant) === null
    ? 'Chat completions, responses, messages, embeddings and the list of models are served here.'
    : `It is at ${meant}: a base URL ends in /v1 for OpenAI's SDKs, and before it for Anthropic's.`;
}

/** HTTP/1.1 asks for a Host. */
export function refusalOfHost({ headers, httpVersion }: IncomingMessage): ApiError | null {
  return headers.host === undefined && httpVersion === '1.1'
    ? new ApiError('invalid_value', 'A request needs a Host header.')
    : null;
}

/** What its headers already say of a body that will not do. */
export function refusalOfBody(request: IncomingMessage, maxBody: number): ApiError | null {
  const coding = request.headers['content-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    return new ApiError(
      'unsupported_media_type',
      `Send the body without content-encoding; '${coding}' is not read here.`,
    );
  }
  return announcedBytes(request) > maxBody ? tooLarge(maxBody) : null;
}

export function tooLarge(maxBody: number): ApiError {
  return new ApiError(
    'request_too_large',
    `The body is larger than the ${maxBody} bytes that are allowed here.`,
  );
}

/** What Node and fastify find wrong with a request before a handler sees it; null for what is no fault of the client's. */
export function knownError(error: unknown, maxBody: number): ApiError | null {
  if (error instanceof ApiError) return error;
  const { statusCode } = error as { statusCode?: number };
  if (statusCode === 413) return tooLarge(maxBody);
  if (isGone(error)) return new ApiError('invalid_value', 'The request ended before its body was whole.');
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new ApiError('invalid_value', `The request cannot be read: ${(error as Error).message}.`);
  }
  return null;
}

/** The client left in the middle of its body. */
export function isGone(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || message === 'aborted';
}
