import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { DIALECT_PATHS } from '../dialects/paths.ts';
import type { ClientAdmission, ClientHandlers } from './client-handlers.ts';
import { pathOf } from './client-refusals.ts';
import { ClientRequests } from './client-requests.ts';
import { addClientRoutes } from './client-routes.ts';
import { Handshakes } from './handshakes.ts';
import type { ListenerLimits } from './limits.ts';
import { NO_SCHEMAS } from './no-schemas.ts';
import type { ServerSettings } from './settings.ts';
import { Unanswered } from './unanswered.ts';

export interface ListenerOptions {
  handlers: ClientHandlers;
  settings: Pick<ServerSettings, 'maxBody' | 'tls'>;
  clock: Clock;
  newId: () => string;
  limits: ListenerLimits;
}

// An import of it, other than of `node:https`, would bring in all that it has a name for, Node's own WebSocket and `fetch` with it: a twentieth of the start.
const { createServer } = process.getBuiltinModule('node:http');

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** The listener that clients talk to: connections, and which part a request on one is for. */
export class ClientListener {
  readonly fastify: FastifyInstance;
  readonly #requests: ClientRequests;
  readonly #admission: ClientAdmission;
  readonly #unanswered = new Unanswered();
  /** Null: there are none without TLS. */
  readonly #handshakes: Handshakes | null;

  constructor({ handlers, settings, clock, newId, limits }: ListenerOptions) {
    const { maxBody, tls } = settings;
    this.#admission = handlers.admission;
    this.#requests = new ClientRequests({ handlers, clock, newId, limits, maxBody });
    this.fastify = Fastify({
      logger: false,
      schemaController: NO_SCHEMAS,
      routerOptions: { maxParamLength: 1024 },
      // New requests while draining are refused by us, in our own words.
      return503OnClosing: false,
      clientErrorHandler: (error, socket) => this.#requests.broken(error, socket),
      frameworkErrors: (...told) => this.#failed(...told),
      serverFactory: (others) => listeningServer(this.#listenerOr(others), tls, limits),
    }) as FastifyInstance;
    this.fastify.setErrorHandler((...told) => this.#failed(...told));
    addClientRoutes(this.fastify, handlers, this.#requests);
    this.#handshakes = tls === null ? null : new Handshakes(this.fastify.server);
    this.#listenToConnections();
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#requests.underWay.count;
  }

  /** How many of them each tenant has that has any. */
  inFlightByTenant(): Map<string, number> {
    return this.#requests.underWay.byTenant();
  }

  /** Clients that connect from now on see this certificate. For a listener that was made with one. */
  useCertificate(tls: NonNullable<ServerSettings['tls']>): void {
    (this.fastify.server as TlsServer).setSecureContext(tls);
  }

  /** No more connections and no new requests. Resolves when the requests under way have ended, and all connections with them. */
  async drain(): Promise<void> {
    const { server } = this.fastify;
    const { underWay } = this.#requests;
    // Connections that wait for another request would keep the listener open until they are tired of it.
    this.#requests.drain(() => setImmediate(() => server.closeAllConnections()));
    this.#handshakes?.destroyAll();
    if (this.#admission.wake()) {
      // The look at the sockets that is under way may have passed them already.
      await turn();
      await turn();
    }
    const closed = this.fastify.close();
    if (this.#requests.areOver) server.closeAllConnections();
    await closed;
    // A listener is closed before the last requests on its connections have heard that these are gone.
    await underWay.over();
  }

  /** Cuts off what is still under way: streams are told so. */
  cancelAll(): void {
    for (const exchange of this.#requests.underWay.all()) exchange.cancel('shutdown');
  }

  /** Ends every connection at once. */
  destroyAll(): void {
    for (const exchange of this.#requests.underWay.all()) exchange.destroy();
    this.#handshakes?.destroyAll();
    this.fastify.server.closeAllConnections();
  }

  #listenerOr(others: Listener): Listener {
    return (request, response) => {
      if (this.#unanswered.isTooMany(request, response)) return;
      const dialect = request.method === 'POST' ? DIALECT_PATHS.get(pathOf(request)) : undefined;
      if (dialect === undefined) others(request, response);
      else this.#requests.toModel(request, response, dialect);
    };
  }

  #listenToConnections(): void {
    const { server } = this.fastify;
    server.on('connection', (socket: Socket) => {
      if (this.#requests.isDraining) socket.destroy();
      else this.#admission.connected();
    });
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      this.#requests.waitsToSend(request);
      server.emit('request', request, response);
    });
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      server.emit('request', request, response);
    });
  }

  /** The router or a route could not do its part. */
  #failed(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    reply.hijack();
    this.#requests.failed(request.exchange ?? this.#requests.open(request.raw, reply.raw), error);
  }
}

function listeningServer(listener: Listener, tls: ServerSettings['tls'], limits: ListenerLimits) {
  // Those without a Host are refused by us, in our own words.
  const options = { connectionsCheckingInterval: limits.checkEvery, requireHostHeader: false };
  const server =
    tls === null
      ? createServer(options, listener)
      : createTlsServer(
          { ...options, cert: tls.cert, key: tls.key, handshakeTimeout: limits.headers },
          listener,
        );
  server.headersTimeout = limits.headers;
  server.requestTimeout = limits.request;
  server.keepAliveTimeout = limits.keepAlive;
  return server;
}
