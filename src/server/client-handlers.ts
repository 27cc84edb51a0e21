import type { Socket } from 'node:net';
import type { ApiError } from '../core/errors.ts';
import type { Exchange } from '../pipeline/exchange.ts';

/** What the listener hands each request to. */
export interface ClientHandlers {
  /** Finds out who asks, before the body is read. Null: go on. `anyDialect`: whatever the client speaks otherwise, it may ask here. */
  authenticate(exchange: Exchange, anyDialect: boolean): ApiError | null;
  admission: ClientAdmission;
  /** A request to a model, in the exchange's dialect, which has come whole. */
  serve(exchange: AdmittedExchange): void;
  /** `id` null: all. */
  models(exchange: Exchange, id: string | null): Promise<void>;
  usage(exchange: Exchange): Promise<void>;
  /** What came of a stream after an event, and what comes. `after`: of the query, as it came. */
  resume(exchange: Exchange, id: string, after: string | readonly string[] | null): Promise<void>;
  /** A stream is not wanted any more. */
  removeStream(exchange: Exchange, id: string): Promise<void>;
  /** A request that is refused before it is read. */
  refuse(exchange: AdmittedExchange, error: ApiError): void;
  /** A mistake of ours; the client has been told something. */
  failed(error: unknown): void;
}

/** Which requests there is room for. Null: go on. */
export interface ClientAdmission {
  /** A client has connected. */
  connected(): void;
  /** Before it is known who asks. */
  full(): ApiError | null;
  /** For a request of a tenant that is known, which may last. */
  place(exchange: Exchange): ApiError | null;
  /** For a request to a model, of a tenant that is known, before its body is read. `announced`: the bytes that this is said to have. */
  admit(exchange: AdmittedExchange, announced: number): ApiError | null;
  /** For a body of which there are so many bytes, or soon will be. */
  hold(exchange: AdmittedExchange, bytes: number): ApiError | null;
  /** An answer of so many bytes waits for its client, which may be at the cost of others. The request's body is let go of. */
  waits(exchange: AdmittedExchange, bytes: number): void;
  /** A client takes its answer too slowly, or not at all. */
  tooSlow(exchange: AdmittedExchange): void;
  /** Nothing is left of an exchange. */
  over(exchange: AdmittedExchange): void;
  /** Connections that are not read for a while are read again. Were there any? What came on them comes with the next look at the sockets. */
  wake(): boolean;
}

export type AdmittedExchange = Exchange & {
  /** Let go of where nobody will read it any more. */
  body: Buffer;
  /** Whose room for bodies it takes, and how much of it. */
  heldBy: string;
  heldBytes: number;
  /** What it came on; another request that comes on it has the same. */
  readonly connection: Socket;
  /** When it is over, its connection is not read for a while. */
  tires: boolean;
  /** There is no time to begin it yet. */
  inLine: boolean;
  /** Calls once all of the request has come, or the client has gone. */
  whenRead(fn: () => void): void;
  /** Ends its connection, with what waits on it for the client. */
  cut(): void;
};
