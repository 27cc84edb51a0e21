import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { ApiError, errorBody } from '../core/errors.ts';
import type { Exchange } from '../pipeline/exchange.ts';
import { HttpExchange } from './http-exchange.ts';
import type { ServerSettings } from './settings.ts';

/** A client that has not sent its whole request by then is cut off. Milliseconds. */
const REQUEST_TIMEOUT = 60_000;
/** The same for the headers alone. */
const HEADERS_TIMEOUT = 15_000;
/** An idle connection is kept this long: longer than the 60 s of the usual load balancers, which must not find it just closed. */
const KEEP_ALIVE = 72_000;

/** What a request id of the client's may look like. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** What the listener hands each request to. */
export interface ClientHandlers {
  /** Finds out who asks, before the body is read. Null: go on. */
  authenticate(exchange: Exchange): ApiError | null;
  chat(exchange: Exchange): Promise<void>;
  /** `id` null: all. */
  models(exchange: Exchange, id: string | null): void;
  usage(exchange: Exchange): void;
  /** A request that is refused before it is read. */
  refuse(exchange: Exchange, error: ApiError): void;
  /** A mistake of ours; the client has been told something. */
  failed(error: unknown): void;
}

export interface ClientListener {
  fastify: FastifyInstance;
  /** Requests under way. */
  inFlight(): number;
  /** From now on every new request is refused, and connections close after their answer. */
  drain(): void;
  /** Cuts off what is still under way: streams are told so. */
  cancelAll(): void;
  destroyAll(): void;
}

/** The listener that clients talk to: HTTP in, exchanges out. */
export function clientListener(
  settings: () => ServerSettings,
  handlers: ClientHandlers,
  options: { clock: Clock; newId: () => string },
): ClientListener {
  const exchanges = new OpenExchanges();
  let draining = false;
  const { tls, maxBody } = settings();
  const fastify = Fastify({
    logger: false,
    bodyLimit: maxBody,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE,
    routerOptions: { maxParamLength: 1024 },
    // New requests are refused by us while draining, in our own words.
    return503OnClosing: false,
    clientErrorHandler: answerBrokenHttp,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    ...(tls === null ? {} : { https: { cert: tls.cert, key: tls.key } }),
  }) as FastifyInstance;
  fastify.server.headersTimeout = HEADERS_TIMEOUT;
  fastify.decorateRequest('exchange', null as unknown as HttpExchange);

  // What a body means is the pipeline's business, whatever type the client gave it (curl -d gives a wrong one).
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  fastify.addHook('onRequest', (request, reply, next) => {
    const exchange = open(request.raw, reply.raw);
    request.exchange = exchange;
    const isOpen = request.is404 || request.routeOptions.config.refuses === true;
    const refusal = refusalOf(request.raw) ?? (isOpen ? null : handlers.authenticate(exchange));
    if (refusal === null) return next();
    reply.hijack();
    handlers.refuse(exchange, refusal);
  });

  fastify.post('/v1/chat/completions', (request, reply) => {
    reply.hijack();
    const { exchange } = request;
    if (Buffer.isBuffer(request.body)) exchange.body = request.body;
    handlers.chat(exchange).catch(handlers.failed);
  });
  route('GET', '/v1/models', (exchange) => handlers.models(exchange, null));
  route('GET', '/v1/models/*', (exchange, rest) => handlers.models(exchange, rest));
  route('GET', '/v1/usage', (exchange) => handlers.usage(exchange));
  refuseOtherMethods();

  fastify.setNotFoundHandler((request, reply) => {
    reply.hijack();
    const path = request.url.split('?')[0];
    handlers.refuse(
      request.exchange,
      new ApiError('unknown_url', `There is nothing at ${request.method} ${path}.`),
    );
  });
  fastify.setErrorHandler((error, request, reply) => answerError(error, request, reply));

  return {
    fastify,
    inFlight: () => exchanges.count,
    drain: () => {
      draining = true;
    },
    cancelAll: () => {
      for (const exchange of exchanges.all()) exchange.cancel('shutdown');
    },
    destroyAll: () => {
      for (const exchange of exchanges.all()) exchange.destroy();
    },
  };

  function open(request: IncomingMessage, response: ServerResponse): HttpExchange {
    const brought = request.headers['x-request-id'];
    const exchange = new HttpExchange(request, response, {
      requestId: typeof brought === 'string' && REQUEST_ID.test(brought) ? brought : options.newId(),
      startedAt: options.clock.now(),
      lastOnConnection: () => draining || (hasBody(request) && !request.complete),
      onOver: (over) => exchanges.remove(over),
    });
    exchanges.add(exchange);
    return exchange;
  }

  function refusalOf(request: IncomingMessage): ApiError | null {
    if (draining) {
      return new ApiError('server_shutting_down', 'This gateway is shutting down; try again.', {
        retryAfterMs: 1000,
      });
    }
    const { maxInFlight } = settings();
    if (exchanges.count > maxInFlight) {
      const message = `This gateway already has ${maxInFlight} requests under way; try again shortly.`;
      return new ApiError('server_is_overloaded', message, { retryAfterMs: 1000 });
    }
    const coding = request.headers['content-encoding'];
    if (coding !== undefined && coding !== 'identity') {
      return new ApiError(
        'unsupported_media_type',
        `Send the body without content-encoding; '${coding}' is not read here.`,
      );
    }
    return null;
  }

  function route(method: 'GET', url: string, handle: (exchange: Exchange, rest: string) => void): void {
    fastify.route({
      method,
      url,
      handler: (request, reply) => {
        reply.hijack();
        handle(request.exchange, (request.params as Record<string, string>)['*'] ?? '');
      },
    });
  }

  function refuseOtherMethods(): void {
    const allowed = {
      '/v1/chat/completions': 'POST',
      '/v1/models': 'GET',
      '/v1/models/*': 'GET',
      '/v1/usage': 'GET',
    };
    for (const [url, allow] of Object.entries(allowed)) {
      fastify.route({
        method: fastify.supportedMethods.filter(
          (method) => method !== allow && !(allow === 'GET' && method === 'HEAD'),
        ),
        url,
        config: { refuses: true },
        handler: (request, reply) => {
          reply.hijack();
          const message = `${request.method} is not allowed here; use ${allow}.`;
          handlers.refuse(
            request.exchange,
            new ApiError('method_not_allowed', message, { headers: { allow } }),
          );
        },
      });
    }
  }

  function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    reply.hijack();
    const exchange = request.exchange ?? open(request.raw, reply.raw);
    const known = knownError(error, maxBody);
    if (known === null) handlers.failed(error);
    handlers.refuse(
      exchange,
      known ??
        new ApiError('internal_error', 'Something went wrong in the gateway itself; its log says what.'),
    );
  }
}

/**
 * The exchanges under way. A Set would do, were it not for the tables that it leaves behind as it is filled and emptied: each points to
 * the next, which keeps every request of the last seconds in memory until a full collection.
 */
class OpenExchanges {
  readonly #list: HttpExchange[] = [];

  get count(): number {
    return this.#list.length;
  }

  add(exchange: HttpExchange): void {
    exchange.slot = this.#list.length;
    this.#list.push(exchange);
  }

  /** The last one takes the place of the one that goes. */
  remove(exchange: HttpExchange): void {
    const last = this.#list.pop();
    if (last === undefined || last === exchange) return;
    this.#list[exchange.slot] = last;
    last.slot = exchange.slot;
  }

  /** As they are now, whatever happens to them next. */
  all(): HttpExchange[] {
    return [...this.#list];
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    exchange: HttpExchange;
  }
  interface FastifyContextConfig {
    /** A route that only says no: it asks for no key. */
    refuses?: boolean;
  }
}

/** Answered before it was read, it would be in the way of the connection's next request. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** What fastify finds wrong with a request before a handler sees it; null for what is no fault of the client's. */
function knownError(error: unknown, maxBody: number): ApiError | null {
  if (error instanceof ApiError) return error;
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  if (statusCode === 413) {
    return new ApiError(
      'request_too_large',
      `The body is larger than the ${maxBody} bytes that are allowed here.`,
    );
  }
  if (
    code === 'ECONNRESET' ||
    code === 'ERR_STREAM_PREMATURE_CLOSE' ||
    (error as Error).message === 'aborted'
  ) {
    return new ApiError('invalid_value', 'The request ended before its body was whole.');
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new ApiError('invalid_value', `The request cannot be read: ${(error as Error).message}.`);
  }
  return null;
}

/** Bytes that are no HTTP, or that came too slowly: there is no request to answer, only a socket. */
function answerBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const large = error.code === 'HPE_HEADER_OVERFLOW';
  const status = late
    ? '408 Request Timeout'
    : large
      ? '431 Request Header Fields Too Large'
      : '400 Bad Request';
  const message = late
    ? 'The request did not come in time.'
    : large
      ? 'The headers are too large.'
      : 'This is not valid HTTP.';
  const code = late ? 'request_timeout' : 'invalid_value';
  const body = errorBody({ message, type: 'invalid_request_error', param: null, code });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
