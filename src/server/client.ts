import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { ApiError } from '../core/errors.ts';
import { DIALECT_PATHS } from '../dialects/paths.ts';
import type { Exchange } from '../pipeline/exchange.ts';
import type { Dialect } from '../providers/adapter.ts';
import { readBody } from './body-reader.ts';
import { answerSocket, brokenHttp } from './broken-http.ts';
import { type ExchangeOwner, HttpExchange } from './http-exchange.ts';
import type { ListenerLimits } from './limits.ts';
import { OpenExchanges } from './open-exchanges.ts';
import { requestIdOf } from './request-id.ts';
import type { ServerSettings } from './settings.ts';

/** What the listener hands each request to. */
export interface ClientHandlers {
  /** Finds out who asks, before the body is read. Null: go on. `anyDialect`: whatever the client speaks otherwise, it may ask here. */
  authenticate(exchange: Exchange, anyDialect: boolean): ApiError | null;
  admission: ClientAdmission;
  /** A request to a model, in the exchange's dialect, which has come whole. */
  serve(exchange: AdmittedExchange): void;
  /** `id` null: all. */
  models(exchange: Exchange, id: string | null): void;
  usage(exchange: Exchange): Promise<void>;
  /** What came of a stream after an event, and what comes. `after`: of the query, as it came. */
  resume(exchange: Exchange, id: string, after: string | readonly string[] | null): Promise<void>;
  /** A stream is not wanted any more. */
  removeStream(exchange: Exchange, id: string): Promise<void>;
  /** A request that is refused before it is read. */
  refuse(exchange: Exchange, error: ApiError): void;
  /** A mistake of ours; the client has been told something. */
  failed(error: unknown): void;
}

/** Which requests there is room for. Null: go on. */
export interface ClientAdmission {
  /** Before it is known who asks. */
  full(): ApiError | null;
  /** For a request of a tenant that is known, which may last. */
  place(exchange: Exchange): ApiError | null;
  /** For a request to a model, of a tenant that is known, before its body is read. `announced`: the bytes that this is said to have. */
  admit(exchange: AdmittedExchange, announced: number): ApiError | null;
  /** For a body of which there are so many bytes, or soon will be. */
  hold(exchange: AdmittedExchange, bytes: number): ApiError | null;
  /** Nothing is left of an exchange. */
  over(exchange: AdmittedExchange): void;
}

/** An exchange, and the room for bodies that it takes. */
export type AdmittedExchange = Exchange & { heldBy: string; heldBytes: number };

export interface ClientListener {
  fastify: FastifyInstance;
  /** Requests under way. */
  inFlight(): number;
  /** How many of them each tenant has that has any. */
  inFlightByTenant(): Map<string, number>;
  /** No more connections and no new requests. Resolves when the requests under way have ended, and all connections with them. */
  drain(): Promise<void>;
  /** Cuts off what is still under way: streams are told so. */
  cancelAll(): void;
  /** Ends every connection at once. */
  destroyAll(): void;
}

/** Below it, by their ids. */
const STREAMS = '/v1/streams/';

/** What is served, beside HEAD where GET is. A path that ends in a slash stands for all below it. */
const ALLOWED = [
  ...[...DIALECT_PATHS.keys()].map((path) => ({ path, methods: ['POST'] })),
  { path: '/v1/models', methods: ['GET'] },
  { path: '/v1/models/', methods: ['GET'] },
  { path: '/v1/usage', methods: ['GET'] },
  { path: STREAMS, methods: ['GET', 'DELETE'] },
];

/** The listener that clients talk to: HTTP in, exchanges out. */
export function clientListener(
  settings: () => ServerSettings,
  handlers: ClientHandlers,
  options: { clock: Clock; newId: () => string; limits: ListenerLimits },
): ClientListener {
  const { clock, newId, limits } = options;
  const exchanges = new OpenExchanges();
  /** Answered, but their clients are still sending. */
  const lingering = new Set<HttpExchange>();
  let draining = false;
  const { tls, maxBody } = settings();
  const fastify = Fastify({
    logger: false,
    routerOptions: { maxParamLength: 1024 },
    // New requests while draining are refused by us, in our own words.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => onBrokenHttp(error, socket),
    frameworkErrors: (error, request, reply) => void answerError(error, request.raw, reply),
    serverFactory: (others) => {
      const onRequest = (request: IncomingMessage, response: ServerResponse) => {
        const dialect = request.method === 'POST' ? DIALECT_PATHS.get(pathOf(request)) : undefined;
        if (dialect === undefined) others(request, response);
        else onModelRequest(request, response, dialect);
      };
      // So are those without a Host.
      const options = { connectionsCheckingInterval: limits.checkEvery, requireHostHeader: false };
      const made =
        tls === null
          ? createServer(options, onRequest)
          : createTlsServer({ ...options, cert: tls.cert, key: tls.key }, onRequest);
      made.headersTimeout = limits.headers;
      made.requestTimeout = limits.request;
      made.keepAliveTimeout = limits.keepAlive;
      return made;
    },
  }) as FastifyInstance;
  const { server } = fastify;
  fastify.decorateRequest('exchange', null as unknown as HttpExchange);

  /** Clients that send their body only when they are told to. */
  const waitingToSend = new WeakSet<IncomingMessage>();
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waitingToSend.add(request);
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response);
  });
  server.on('connection', (socket: Socket) => {
    if (draining) socket.destroy();
  });

  const owner: ExchangeOwner = {
    clock,
    isDraining: () => draining,
    lingers: (exchange) => {
      exchanges.remove(exchange);
      lingering.add(exchange);
    },
    over: (exchange) => {
      exchanges.remove(exchange);
      lingering.delete(exchange);
      handlers.admission.over(exchange);
      // Connections that wait for another request would keep the listener open until they are tired of it.
      if (draining && exchanges.count === 0) setImmediate(() => server.closeAllConnections());
    },
    lingerFor: limits.linger,
    unreadFor: limits.unread,
  };

  // Where there is no request to a model, no body is expected, and any is read over.
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume();
    done(null);
  });

  fastify.addHook('onRequest', (request, reply, next) => {
    const { raw } = request;
    const exchange = open(raw, reply.raw, 'chat');
    request.exchange = exchange;
    const isOfStream = request.routeOptions.url?.startsWith(STREAMS) ?? false;
    const refusal =
      refusalOf(raw) ??
      (request.is404 ? nothingThere(raw) : null) ??
      handlers.authenticate(exchange, isOfStream) ??
      // All others here are soon over.
      (isOfStream && raw.method === 'GET' ? handlers.admission.place(exchange) : null) ??
      refusalOfBody(raw);
    if (refusal !== null) return refuse(exchange, reply, refusal);
    letSend(raw, reply.raw);
    // Whatever type the client gave it: fastify refuses what has not the form of a type.
    raw.headers['content-type'] = 'application/json';
    next();
  });

  get('/v1/models', (exchange) => handlers.models(exchange, null));
  get('/v1/models/*', (exchange, rest) => handlers.models(exchange, rest));
  get('/v1/usage', (exchange) => void handlers.usage(exchange).catch(handlers.failed));
  // Without HEAD: that of a stream under way would not end before it.
  fastify.get(`${STREAMS}*`, { exposeHeadRoute: false }, (request, reply) => {
    reply.hijack();
    const { after = null } = request.query as { after?: string | string[] };
    handlers.resume(request.exchange, restOf(request), after).catch(handlers.failed);
  });
  fastify.delete(`${STREAMS}*`, (request, reply) => {
    reply.hijack();
    handlers.removeStream(request.exchange, restOf(request)).catch(handlers.failed);
  });
  fastify.setNotFoundHandler((request, reply) => refuse(request.exchange, reply, nothingThere(request.raw)));
  fastify.setErrorHandler((error, request, reply) => answerError(error, request.raw, reply));

  return {
    fastify,
    inFlight: () => exchanges.count,
    inFlightByTenant: () => exchanges.byTenant(),
    drain: async () => {
      draining = true;
      const closed = fastify.close();
      if (exchanges.count === 0) server.closeAllConnections();
      await closed;
    },
    cancelAll: () => {
      for (const exchange of exchanges.all()) exchange.cancel('shutdown');
    },
    destroyAll: () => {
      for (const exchange of exchanges.all()) exchange.destroy();
      server.closeAllConnections();
    },
  };

  /** Nearly every request is one of these. They need no router, and nobody between the socket and the pipeline. */
  function onModelRequest(request: IncomingMessage, response: ServerResponse, dialect: Dialect): void {
    const exchange = open(request, response, dialect);
    try {
      const refusal =
        refusalOf(request) ??
        handlers.authenticate(exchange, false) ??
        refusalOfBody(request) ??
        handlers.admission.admit(exchange, announced(request));
      if (refusal !== null) {
        handlers.refuse(exchange, refusal);
        return;
      }
      letSend(request, response);
    } catch (error) {
      onFailure(exchange, error);
      return;
    }
    readBody(request, maxBody, {
      whole: (body) => {
        exchange.body = body;
        exchange.readAt = clock.now();
        handlers.serve(exchange);
      },
      longer: (bytes) => {
        if (exchange.answered) return false;
        const refusal = handlers.admission.hold(exchange, bytes);
        if (refusal !== null) handlers.refuse(exchange, refusal);
        return refusal === null;
      },
      tooLarge: () => handlers.refuse(exchange, tooLarge(maxBody)),
      failed: (error) => onFailure(exchange, error),
    });
  }

  function open(request: IncomingMessage, response: ServerResponse, dialect: Dialect): HttpExchange {
    const exchange = new HttpExchange(request, response, dialect, requestIdOf(request, newId), owner);
    exchanges.add(exchange);
    return exchange;
  }

  /** The client's body is wanted, if it waits for that word. */
  function letSend(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers.expect !== undefined && waitingToSend.has(request)) response.writeContinue();
  }

  function refuse(exchange: HttpExchange, reply: FastifyReply, error: ApiError): void {
    reply.hijack();
    handlers.refuse(exchange, error);
  }

  /** What stands against a request, whoever sends it. */
  function refusalOf(request: IncomingMessage): ApiError | null {
    if (draining) {
      return new ApiError('server_shutting_down', 'This gateway is shutting down; try again.', {
        retryAfterMs: 1000,
      });
    }
    const full = handlers.admission.full();
    if (full !== null) return full;
    if (request.headers.host === undefined && request.httpVersion === '1.1') {
      return new ApiError('invalid_value', 'A request needs a Host header.');
    }
    return null;
  }

  /** What its headers already say of a body that will not do. */
  function refusalOfBody({ headers }: IncomingMessage): ApiError | null {
    const coding = headers['content-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'identity') {
      return new ApiError(
        'unsupported_media_type',
        `Send the body without content-encoding; '${coding}' is not read here.`,
      );
    }
    return Number(headers['content-length'] ?? 0) > maxBody ? tooLarge(maxBody) : null;
  }

  function get(url: string, handle: (exchange: Exchange, rest: string) => void): void {
    fastify.get(url, (request, reply) => {
      reply.hijack();
      handle(request.exchange, restOf(request));
    });
  }

  function answerError(error: unknown, request: IncomingMessage, reply: FastifyReply): void {
    reply.hijack();
    onFailure(reply.request.exchange ?? open(request, reply.raw, 'chat'), error);
  }

  /** A request cannot be read, or a mistake of ours was in the way. */
  function onFailure(exchange: HttpExchange, error: unknown): void {
    const known = knownError(error, maxBody);
    if (known === null) handlers.failed(error);
    if (isGone(error)) exchange.cancel('client_gone');
    // One that was cut off has been told why.
    if (!exchange.cutOff) handlers.refuse(exchange, known ?? internalError());
  }

  /** Something came on a socket that is no HTTP, or a request did not come in time. */
  function onBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
    const here = [...exchanges.all(), ...lingering].filter((exchange) => exchange.isOn(socket));
    const [exchange] = here;
    if (exchange === undefined) answerSocket(socket, brokenHttp(error), newId());
    else if (here.length === 1 && exchange.isReadFrom(socket) && !exchange.answered && socket.writable) {
      exchange.cutOff = true;
      // The connection ended in the middle of the request.
      if (error.code === 'HPE_INVALID_EOF_STATE') exchange.cancel('client_gone');
      handlers.refuse(exchange, brokenHttp(error));
    } else socket.destroy();
  }
}

/** How long its body is said to be. Bytes; 0 where nothing is said of it. */
function announced({ headers }: IncomingMessage): number {
  return Number(headers['content-length'] ?? 0);
}

/** Nothing is served at this path, or not by this method. */
function nothingThere(request: IncomingMessage): ApiError {
  const { method } = request;
  const path = pathOf(request);
  const served = ALLOWED.find((one) =>
    one.path.endsWith('/') ? path.startsWith(one.path) : path === one.path,
  );
  if (served === undefined) return new ApiError('unknown_url', `There is nothing at ${method} ${path}.`);
  const { methods } = served;
  return new ApiError('method_not_allowed', `${method} is not allowed here; use ${methods.join(' or ')}.`, {
    headers: { allow: methods.join(', ') },
  });
}

/** Without a query; and of an absolute form, in which proxies ask, without the scheme and the host. */
function pathOf({ url = '' }: IncomingMessage): string {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  const query = url.indexOf('?');
  if (start < 0) return url;
  return query < 0 ? url.slice(start) : url.slice(start, query);
}

/** What stands in the place of a path's `*`. */
function restOf({ params }: FastifyRequest): string {
  return (params as Record<string, string>)['*'] ?? '';
}

function tooLarge(maxBody: number): ApiError {
  return new ApiError(
    'request_too_large',
    `The body is larger than the ${maxBody} bytes that are allowed here.`,
  );
}

function internalError(): ApiError {
  return new ApiError('internal_error', 'Something went wrong in the gateway itself; its log says what.');
}

declare module 'fastify' {
  interface FastifyRequest {
    exchange: HttpExchange;
  }
}

/** What fastify finds wrong with a request before a handler sees it; null for what is no fault of the client's. */
function knownError(error: unknown, maxBody: number): ApiError | null {
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
function isGone(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || message === 'aborted';
}
