import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Principal } from '../auth/keyring.ts';
import { Cancellation, type CancelReason } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import type { Exchange, Headers, ResponseStream } from '../pipeline/exchange.ts';
import type { Live } from '../pipeline/live.ts';
import type { Dialect } from '../providers/adapter.ts';
import { BatchedStream, type StreamTold } from './batched-stream.ts';
import { AT_ONCE, type ListenerLimits, timeToTake } from './limits.ts';

/** Up to here, copying a body costs less than a write of its own. Bytes. */
const ONE_WRITE = 16 * 1024;

/**
 * Up to here a body that is not wanted is read over, and its connection goes on. Closed, it would be read as well, or the client might not see
 * its answer, and come back on a new connection, which cannot rest and costs as much as 50 KB do. Bytes.
 */
export const READ_OVER = 1024 * 1024;

const EMPTY = Buffer.alloc(0);

/** What all the exchanges of a listener share. */
export interface ExchangeOwner {
  readonly clock: Clock;
  /** Connections close after their answer. */
  readonly isDraining: boolean;
  /** The client has all that it will get; it may still be sending. Not called for one that ends as usual. */
  lingers(exchange: HttpExchange): void;
  /** All of its answer has been given, which has so many bytes, and some of them wait for the client. Its body is not needed any more. */
  waits(exchange: HttpExchange, bytes: number): void;
  /** The client takes its answer too slowly, or not at all. */
  tooSlow(exchange: HttpExchange): void;
  /** Called once, last. */
  over(exchange: HttpExchange): void;
  readonly limits: Pick<ListenerLimits, 'linger' | 'unread'>;
}

/** An exchange over node's own request and response. It is over when the response is closed, however that came about. */
export class HttpExchange implements Exchange, StreamTold {
  readonly requestId: string;
  readonly startedAt: number;
  readAt: number;
  readonly cancellation = new Cancellation();
  body: Buffer = EMPTY;
  readonly dialect: Dialect;
  principal: Principal | null = null;
  live: Live | null = null;
  /** Its place among the exchanges under way; -1 = it is none of them any more. */
  slot = -1;
  /** What the client still sends is not waited for. */
  cutOff = false;
  /** Its answer is the connection's last. */
  isLast = false;
  /** Whose room for bodies it takes, and how much of it; 0 = none. */
  heldBy = '';
  heldBytes = 0;
  /** When it is over, its connection is not read for a while. */
  tires = false;
  inLine = false;
  readonly #request: IncomingMessage;
  /** Node makes them of what came when they are first asked for. */
  readonly #headers: IncomingHttpHeaders;
  readonly #response: ServerResponse;
  readonly #owner: ExchangeOwner;
  #ended = false;
  /** Who writes the stream that is answered with, for when there is room for more of it; null: there is none. */
  #onDrain: (() => void) | null = null;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    dialect: Dialect,
    requestId: string,
    owner: ExchangeOwner,
  ) {
    this.#request = request;
    this.#headers = request.headers;
    this.#response = response;
    this.dialect = dialect;
    this.requestId = requestId;
    this.startedAt = owner.clock.now();
    this.readAt = this.startedAt;
    this.#owner = owner;
    response.on('close', () => {
      if (!this.#ended) this.cancellation.cancel('client_gone');
      owner.over(this);
    });
    // Writing to a client that has left is no error: `close` tells.
    response.on('error', ignore);
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** Its answer has begun, or nobody is there to take one. */
  get answered(): boolean {
    return this.#response.headersSent || this.#response.destroyed;
  }

  /** All of its answer has been given, though the client may not have taken it yet. */
  get answeredWhole(): boolean {
    return this.#ended;
  }

  /** Is this the request whose body comes on that socket? */
  isReadFrom(socket: Socket): boolean {
    return this.#request.socket === socket && !this.#request.complete;
  }

  isOn(socket: Socket): boolean {
    return this.#request.socket === socket;
  }

  get connection(): Socket {
    return this.#request.socket;
  }

  /** Node hands a request on before it has looked at the body, be it in the same piece. */
  whenRead(fn: () => void): void {
    if (this.#request.complete) fn();
    else this.#request.once('close', fn);
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    if (this.answered) return;
    const response = this.#response;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.#ended = true;
    const closes = this.#isUnread(status);
    headers.push('content-length', String(bytes.length));
    this.#sayWhetherItCloses(headers, closes);
    response.writeHead(status, headers);
    if (closes && !this.cutOff) {
      response.write(bytes);
      this.#linger();
      return;
    }
    // As text, Node sends a body together with the headers in one write; latin1 keeps every byte as it is.
    if (bytes.length <= ONE_WRITE) response.end(bytes.toString('latin1'), 'latin1');
    else response.end(bytes);
    if (response.writableLength > 0) this.#waits(bytes.length);
  }

  stream(headers: Headers, onDrain: () => void): ResponseStream {
    const response = this.#response;
    // Whatever it asks for has been read, and a stream may last.
    this.body = EMPTY;
    if (!this.answered) {
      this.#sayWhetherItCloses(headers, false);
      response.writeHead(200, headers);
    }
    this.#onDrain = onDrain;
    response.on('drain', () => {
      response.setTimeout(0);
      this.room();
    });
    return new BatchedStream(response, this);
  }

  ended(): void {
    this.#ended = true;
  }

  backlog(): void {
    this.#bound();
  }

  room(): void {
    this.#onDrain?.();
  }

  /** Ends the request's work, and the connection if the client does not take what is left. */
  cancel(reason: CancelReason): void {
    this.cancellation.cancel(reason);
  }

  destroy(): void {
    this.#response.destroy();
  }

  /** Ends the connection, with what waits on it for the client. */
  cut(): void {
    this.#request.socket.destroy();
  }

  #sayWhetherItCloses(headers: Headers, closes: boolean): void {
    if (closes || this.isLast || this.#owner.isDraining) headers.push('connection', 'close');
  }

  /**
   * Answered before it was read, a body is in the way of the connection's next request. Node reads over one that is not too long; one that may
   * never come, or of which there has been too much already, is not worth waiting for.
   */
  #isUnread(status: number): boolean {
    if (this.#request.complete) return false;
    const headers = this.#headers;
    if (headers['transfer-encoding'] !== undefined) return true;
    const length = Number(headers['content-length'] ?? 0);
    const closesAnyway = this.cutOff || this.#owner.isDraining || status === 413;
    return length > READ_OVER || (length > 0 && (closesAnyway || headers.expect !== undefined));
  }

  /**
   * Reads over what is left of the body before the connection is closed. Closed at once, it would be reset under a client that is still
   * sending, and many of those never look at their answer then.
   */
  #linger(): void {
    const end = () => {
      timer.cancel();
      this.#response.end();
    };
    const timer = this.#owner.clock.schedule(this.#owner.limits.linger, end);
    this.#request.once('end', end).once('close', end).resume();
    this.#owner.lingers(this);
  }

  /** A whole answer could not be written at once. */
  #waits(bytes: number): void {
    const response = this.#response;
    this.body = EMPTY;
    this.#owner.waits(this, bytes);
    if (response.socket !== null) this.#boundWhole(bytes);
    // The answer to the client's request before is still to come: it is not the client that lets this one wait.
    else response.once('socket', () => this.#boundWhole(bytes));
  }

  /** A bit now and then is progress, too, and 64 MiB can be taken in bits for days: there is a bound on all of it besides. */
  #boundWhole(bytes: number): void {
    const { clock, limits } = this.#owner;
    const tooSlow = () => this.#owner.tooSlow(this);
    const timer = clock.schedule(timeToTake(bytes, limits.unread), tooSlow);
    this.#response.once('close', () => timer.cancel());
    if (bytes > AT_ONCE) this.#response.setTimeout(limits.unread, tooSlow);
  }

  /** A client that takes nothing of what is written for so long is cut off: it holds memory, and a place. */
  #bound(): void {
    this.#response.setTimeout(this.#owner.limits.unread);
  }
}

function ignore(): void {}
