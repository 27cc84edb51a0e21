import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { type ApiError, internalError, shuttingDown } from '../core/errors.ts';
import { DIALECT_PATHS } from '../dialects/paths.ts';
import type { Dialect } from '../providers/adapter.ts';
import { announcedBytes, type BodyOwner, readBody } from './body-reader.ts';
import { answerSocket, brokenHttp } from './broken-http.ts';
import type { ClientHandlers } from './client-handlers.ts';
import { isGone, knownError, pathOf, refusalOfBody, refusalOfHost, tooLarge } from './client-refusals.ts';
import { addClientRoutes } from './client-routes.ts';
import { type ExchangeOwner, HttpExchange } from './http-exchange.ts';
import type { ListenerLimits } from './limits.ts';
import { OpenExchanges } from './open-exchanges.ts';
import { requestIdOf } from './request-id.ts';
import type { ServerSettings } from './settings.ts';
import { Unanswered } from './unanswered.ts';

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

/** The listener that clients talk to: HTTP in, exchanges out. */
export function clientListener(
  settings: () => ServerSettings,
  handlers: ClientHandlers,
  options: { clock: Clock; newId: () => string; limits: ListenerLimits },
): ClientListener {
  const { clock, newId, limits } = options;
  const { admission } = handlers;
  const exchanges = new OpenExchanges();
  /** Answered, but their clients are still sending. */
  const lingering = new Set<HttpExchange>();
  const unanswered = new Unanswered();
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
        if (unanswered.isTooMany(request, response)) return;
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
    else admission.connected();
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
      admission.over(exchange);
      // Connections that wait for another request would keep the listener open until they are tired of it.
      if (draining && exchanges.count === 0) setImmediate(() => server.closeAllConnections());
    },
    lingerFor: limits.linger,
    unreadFor: limits.unread,
  };

  const bodies: BodyOwner<HttpExchange> = {
    limit: maxBody,
    whole: (exchange, body) => {
      exchange.body = body;
      exchange.readAt = clock.now();
      handlers.serve(exchange);
    },
    longer: (exchange, bytes) => {
      if (exchange.answered) return false;
      const refusal = admission.hold(exchange, bytes);
      if (refusal !== null) handlers.refuse(exchange, refusal);
      return refusal === null;
    },
    tooLarge: (exchange) => handlers.refuse(exchange, tooLarge(maxBody)),
    failed: onFailure,
  };

  addClientRoutes(fastify, handlers, {
    maxBody,
    open: (request, response) => open(request, response, 'chat'),
    refusalOf,
    letSend,
  });
  fastify.setErrorHandler((error, request, reply) => answerError(error, request.raw, reply));

  return {
    fastify,
    inFlight: () => exchanges.count,
    inFlightByTenant: () => exchanges.byTenant(),
    drain: async () => {
      draining = true;
      if (admission.wake()) {
        // The look at the sockets that is under way may have passed them already.
        await turn();
        await turn();
      }
      const closed = fastify.close();
      if (exchanges.count === 0) server.closeAllConnections();
      await closed;
      // A listener is closed before the last requests on its connections have heard that these are gone.
      await exchanges.over();
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
      const announced = announcedBytes(request);
      const refusal =
        refusalOf(request) ??
        handlers.authenticate(exchange, false) ??
        refusalOfBody(request, maxBody) ??
        admission.admit(exchange, announced);
      if (refusal !== null) {
        handlers.refuse(exchange, refusal);
        return;
      }
      letSend(request, response);
      readBody(request, announced, exchange, bodies);
    } catch (error) {
      onFailure(exchange, error);
    }
  }

  function open(request: IncomingMessage, response: ServerResponse, dialect: Dialect): HttpExchange {
    const exchange = new HttpExchange(request, response, dialect, requestIdOf(request, newId), owner);
    exchanges.add(exchange);
    return exchange;
  }

  function letSend(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers.expect !== undefined && waitingToSend.has(request)) response.writeContinue();
  }

  function refusalOf(request: IncomingMessage): ApiError | null {
    return draining ? shuttingDown() : (admission.full() ?? refusalOfHost(request));
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
    } else if (here.length > 1 || !socket.writable) socket.destroy();
    // More of a body than was announced, for one: what it was announced to be is a request all the same.
    else if (!exchange.answered) exchange.isLast = true;
    else if (exchange.answeredWhole) socket.destroySoon();
    else socket.destroy();
  }
}
