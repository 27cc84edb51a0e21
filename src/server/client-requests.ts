import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { type ApiError, internalError, shuttingDown } from '../core/errors.ts';
import { InStep } from '../core/turns.ts';
import type { Dialect } from '../providers/adapter.ts';
import { announcedBytes, type BodyOwner, readBody } from './body-reader.ts';
import { answerSocket, brokenHttp } from './broken-http.ts';
import type { ClientHandlers } from './client-handlers.ts';
import { isGone, knownError, refusalOfBody, refusalOfHost, tooLarge } from './client-refusals.ts';
import type { RoutesListener } from './client-routes.ts';
import { type ExchangeOwner, HttpExchange } from './http-exchange.ts';
import type { ListenerLimits } from './limits.ts';
import { OpenExchanges } from './open-exchanges.ts';
import { requestIdOf } from './request-id.ts';

export interface RequestsOptions {
  handlers: ClientHandlers;
  clock: Clock;
  newId: () => string;
  limits: ListenerLimits;
  /** Bytes. */
  maxBody: number;
}

/** Makes exchanges of the requests that come, reads what they bring, and sees each to its end. */
export class ClientRequests implements ExchangeOwner, BodyOwner<HttpExchange>, RoutesListener {
  readonly clock: Clock;
  readonly limits: ListenerLimits;
  readonly maxBody: number;
  readonly underWay = new OpenExchanges();
  readonly #handlers: ClientHandlers;
  readonly #newId: () => string;
  /** They have come whole. */
  readonly #whole: InStep<HttpExchange>;
  /** Answered, but their clients are still sending. */
  readonly #lingering = new Set<HttpExchange>();
  /** Of clients that send their body only when they are told to. */
  readonly #waitingToSend = new WeakSet<IncomingMessage>();
  /** Null: not draining. */
  #whenNone: (() => void) | null = null;

  constructor({ handlers, clock, newId, limits, maxBody }: RequestsOptions) {
    this.#handlers = handlers;
    this.clock = clock;
    this.#newId = newId;
    this.#whole = new InStep((exchange) => handlers.serve(exchange));
    this.limits = limits;
    this.maxBody = maxBody;
  }

  /** Takes no more of them. `whenNone`: called when nothing is left of the last one under way. */
  drain(whenNone: () => void): void {
    this.#whenNone = whenNone;
  }

  /** Nothing is under way, and nobody is still sending. */
  get areOver(): boolean {
    return this.underWay.count + this.#lingering.size === 0;
  }

  get isDraining(): boolean {
    return this.#whenNone !== null;
  }

  waitsToSend(request: IncomingMessage): void {
    this.#waitingToSend.add(request);
  }

  /** Nearly every request is one of these. They need no router, and nobody between the socket and the pipeline. */
  toModel(request: IncomingMessage, response: ServerResponse, dialect: Dialect): void {
    const exchange = this.open(request, response, dialect);
    try {
      const announced = announcedBytes(request);
      const refusal =
        this.refusalOf(request) ??
        this.#handlers.authenticate(exchange, false) ??
        refusalOfBody(request, this.maxBody) ??
        this.#handlers.admission.admit(exchange, announced);
      if (refusal !== null) {
        this.#handlers.refuse(exchange, refusal);
        return;
      }
      this.letSend(request, response);
      readBody(request, announced, exchange, this);
    } catch (error) {
      this.failed(exchange, error);
    }
  }

  open(request: IncomingMessage, response: ServerResponse, dialect: Dialect = 'chat'): HttpExchange {
    const exchange = new HttpExchange(request, response, dialect, requestIdOf(request, this.#newId), this);
    this.underWay.add(exchange);
    return exchange;
  }

  refusalOf(request: IncomingMessage): ApiError | null {
    return this.isDraining ? shuttingDown() : (this.#handlers.admission.full() ?? refusalOfHost(request));
  }

  letSend(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers.expect !== undefined && this.#waitingToSend.has(request)) response.writeContinue();
  }

  whole(exchange: HttpExchange, body: Buffer): void {
    exchange.body = body;
    exchange.readAt = this.clock.now();
    this.#whole.add(exchange);
  }

  longer(exchange: HttpExchange, bytes: number): boolean {
    if (exchange.answered) return false;
    const refusal = this.#handlers.admission.hold(exchange, bytes);
    if (refusal !== null) this.#handlers.refuse(exchange, refusal);
    return refusal === null;
  }

  tooLarge(exchange: HttpExchange): void {
    this.#handlers.refuse(exchange, tooLarge(this.maxBody));
  }

  /** A request cannot be read, or a mistake of ours was in the way. */
  failed(exchange: HttpExchange, error: unknown): void {
    const known = knownError(error, this.maxBody);
    if (known === null) this.#handlers.failed(error);
    if (isGone(error)) exchange.cancel('client_gone');
    // One that was cut off has been told why.
    if (!exchange.cutOff) this.#handlers.refuse(exchange, known ?? internalError());
  }

  /** Something came on a socket that is no HTTP, or a request did not come in time. */
  broken(error: Error & { code?: string }, socket: Socket): void {
    const here = [...this.underWay.all(), ...this.#lingering].filter((exchange) => exchange.isOn(socket));
    const [exchange] = here;
    if (exchange === undefined) answerSocket(socket, brokenHttp(error), this.#newId());
    else if (here.length === 1 && exchange.isReadFrom(socket) && !exchange.answered && socket.writable) {
      exchange.cutOff = true;
      // The connection ended in the middle of the request.
      if (error.code === 'HPE_INVALID_EOF_STATE') exchange.cancel('client_gone');
      this.#handlers.refuse(exchange, brokenHttp(error));
    } else if (here.length > 1 || !socket.writable) socket.destroy();
    // More of a body than was announced, for one: what it was announced to be is a request all the same.
    else if (!exchange.answered) exchange.isLast = true;
    else if (exchange.answeredWhole) socket.destroySoon();
    else socket.destroy();
  }

  lingers(exchange: HttpExchange): void {
    this.underWay.remove(exchange);
    this.#lingering.add(exchange);
  }

  waits(exchange: HttpExchange, bytes: number): void {
    this.#handlers.admission.waits(exchange, bytes);
  }

  tooSlow(exchange: HttpExchange): void {
    this.#handlers.admission.tooSlow(exchange);
  }

  over(exchange: HttpExchange): void {
    this.underWay.remove(exchange);
    this.#lingering.delete(exchange);
    this.#handlers.admission.over(exchange);
    if (this.#whenNone === null) return;
    // The head of a stream that began before did not say it, and the client's next request is for another gateway.
    const { connection } = exchange;
    const lingers = [...this.#lingering].some((other) => other.isOn(connection));
    if (!lingers && !this.underWay.areOn(connection)) connection.destroySoon();
    if (this.areOver) this.#whenNone();
  }
}
