import type { Principal } from '../auth/keyring.ts';
import type { Cancellation } from '../core/cancellation.ts';

/** One request of a client and the way to answer it: what the pipeline sees of HTTP. */
export interface Exchange {
  /** Names in lower case. */
  header(name: string): string | undefined;
  body: Buffer;
  /** Who asks: set by `authenticate`, before the body is read. */
  principal: Principal | null;
  /** The id of this exchange that the client sees. */
  requestId: string;
  /** On the clock's monotonic time. */
  startedAt: number;
  /** Cancelled when the client leaves, or the process must end. */
  cancellation: Cancellation;
  /** Answers whole. Once, instead of `stream`. */
  send(status: number, headers: Headers, body: Buffer | string): void;
  /** Begins a streamed answer with status 200. Once, instead of `send`. */
  stream(headers: Headers, onDrain: () => void): ResponseStream;
}

/** Names and values. */
export type Headers = Readonly<Record<string, string>>;

export interface ResponseStream {
  /** False: the client is slow; `onDrain` is called when it has caught up. */
  write(bytes: Buffer): boolean;
  end(): void;
}
