import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '../auth/keyring.ts';
import { Cancellation, type CancelReason } from '../core/cancellation.ts';
import type { Exchange, Headers, ResponseStream } from '../pipeline/exchange.ts';

/** Up to here, copying a body costs less than a write of its own. Bytes. */
const ONE_WRITE = 16 * 1024;

const EMPTY = Buffer.alloc(0);

/** An exchange over node's own request and response. It is over when the response is closed, however that came about. */
export class HttpExchange implements Exchange {
  readonly requestId: string;
  readonly startedAt: number;
  readonly cancellation = new Cancellation();
  body: Buffer = EMPTY;
  principal: Principal | null = null;
  /** Its place among the exchanges under way. */
  slot = 0;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #lastOnConnection: () => boolean;
  #ended = false;

  /** `lastOnConnection`: whether the connection is to be closed after the answer. `onOver` is called once. */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: {
      requestId: string;
      startedAt: number;
      lastOnConnection: () => boolean;
      onOver: (exchange: HttpExchange) => void;
    },
  ) {
    this.#request = request;
    this.#response = response;
    this.requestId = options.requestId;
    this.startedAt = options.startedAt;
    this.#lastOnConnection = options.lastOnConnection;
    response.on('close', () => {
      if (!this.#ended) this.cancellation.cancel('client_gone');
      options.onOver(this);
    });
    // Writing to a client that has left is no error: `close` tells.
    response.on('error', () => {});
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    if (this.#gone()) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.#ended = true;
    this.#response.writeHead(status, this.#closing({ ...headers, 'content-length': String(bytes.length) }));
    // As text, Node sends a body together with the headers in one write; latin1 keeps every byte as it is.
    if (bytes.length <= ONE_WRITE) this.#response.end(bytes.toString('latin1'), 'latin1');
    else this.#response.end(bytes);
  }

  stream(headers: Headers, onDrain: () => void): ResponseStream {
    const response = this.#response;
    if (!this.#gone()) response.writeHead(200, this.#closing(headers));
    response.on('drain', onDrain);
    return {
      write: (bytes) => response.destroyed || response.write(bytes),
      end: () => {
        this.#ended = true;
        response.end();
      },
    };
  }

  /** Ends the request's work, and the connection if the client does not take what is left. */
  cancel(reason: CancelReason): void {
    this.cancellation.cancel(reason);
  }

  destroy(): void {
    this.#response.destroy();
  }

  #gone(): boolean {
    return this.#response.headersSent || this.#response.destroyed;
  }

  #closing(headers: Headers): Headers {
    return this.#lastOnConnection() ? { ...headers, connection: 'close' } : headers;
  }
}
