import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiError } from '../core/errors.ts';
import type { Exchange } from '../pipeline/exchange.ts';
import type { ClientHandlers } from './client-handlers.ts';
import { nothingThere, refusalOfBody, STREAMS } from './client-refusals.ts';
import type { HttpExchange } from './http-exchange.ts';
import { readOverBodies } from './read-over.ts';

declare module 'fastify' {
  interface FastifyRequest {
    exchange: HttpExchange;
  }
}

/** What the listener does for every request, to a model or not. */
export interface RoutesListener {
  readonly maxBody: number;
  open(request: IncomingMessage, response: ServerResponse): HttpExchange;
  /** What stands against a request, whoever sends it. */
  refusalOf(request: IncomingMessage): ApiError | null;
  /** The client's body is wanted, if it waits for that word. */
  letSend(request: IncomingMessage, response: ServerResponse): void;
}

/** All that clients may ask for besides models' answers: which models there are, what is left, streams to come back to. */
export function addClientRoutes(
  fastify: FastifyInstance,
  handlers: ClientHandlers,
  listener: RoutesListener,
): void {
  fastify.decorateRequest('exchange', null as unknown as HttpExchange);
  readOverBodies(fastify);

  fastify.addHook('onRequest', (request, reply, next) => {
    const { raw } = request;
    const exchange = listener.open(raw, reply.raw);
    request.exchange = exchange;
    const isOfStream = request.routeOptions.url?.startsWith(STREAMS) ?? false;
    const refusal =
      listener.refusalOf(raw) ??
      (request.is404 ? nothingThere(raw) : null) ??
      handlers.authenticate(exchange, isOfStream) ??
      // All others here are soon over, or see for themselves whether they may wait.
      (isOfStream && raw.method === 'GET' ? handlers.admission.place(exchange) : null) ??
      refusalOfBody(raw, listener.maxBody);
    if (refusal !== null) return refuse(exchange, reply, refusal);
    listener.letSend(raw, reply.raw);
    // Whatever type the client gave it: fastify refuses what has not the form of a type.
    raw.headers['content-type'] = 'application/json';
    next();
  });

  get('/v1/models', (exchange) => handlers.models(exchange, null));
  get('/v1/models/*', (exchange, rest) => handlers.models(exchange, rest));
  get('/v1/usage', (exchange) => handlers.usage(exchange));
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

  function get(url: string, handle: (exchange: Exchange, rest: string) => Promise<void>): void {
    fastify.get(url, (request, reply) => {
      reply.hijack();
      handle(request.exchange, restOf(request)).catch(handlers.failed);
    });
  }

  function refuse(exchange: HttpExchange, reply: FastifyReply, error: ApiError): void {
    reply.hijack();
    handlers.refuse(exchange, error);
  }
}

/** What stands in the place of a path's `*`. */
function restOf({ params }: FastifyRequest): string {
  return (params as Record<string, string>)['*'] ?? '';
}
