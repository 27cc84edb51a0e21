import type { Principal } from '../auth/keyring.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Dialect } from '../providers/adapter.ts';
import type { Live } from './live.ts';

/** One request of a client and the way to answer it: what the pipeline sees of HTTP. */
export interface Exchange {
  /** Names in lower case. */
  header(name: string): string | undefined;
  readonly body: Buffer;
  /** In whose words the client speaks: by the path that it asked at. */
  readonly dialect: Dialect;
  /** Who asks: set by `authenticate`, before the body is read. */
  principal: Principal | null;
  /** The configuration that it began with, and is served with to its end: set with `principal`. */
  live: Live | null;
  /** The id of this exchange that the client sees. */
  readonly requestId: string;
  /** When its headers had come, on the clock's monotonic time. */
  readonly startedAt: number;
  /**
   * From when its time counts: when its body had come whole, for what the client takes to send it is not the gateway's time, nor a
   * target's; or later, where it had to wait for another request first.
   */
  readonly readAt: number;
  /** Cancelled when the client leaves, or the process must end. */
  readonly cancellation: Cancellation;
  /** Answers whole. Once, instead of `stream`. */
  send(status: number, headers: Headers, body: Buffer | string): void;
  /** Begins a streamed answer with status 200. Once, instead of `send`. */
  stream(headers: Headers, onDrain: () => void): ResponseStream;
}

/**
 * A name and its value in turn, as Node takes them: names in lower case, and none twice. A list is handed over with its answer: whoever
 * is given it may add to it, so it is not to be looked at afterwards.
 */
export type Headers = string[];

export interface ResponseStream {
  /** False: the client is slow; `onDrain` is called when it has caught up. */
  write(bytes: Buffer): boolean;
  end(): void;
}
