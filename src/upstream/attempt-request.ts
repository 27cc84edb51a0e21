import type { Dispatcher } from 'undici';
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import type { AnswerReader } from '../providers/adapter.ts';
import type { WireHeaders } from '../providers/retry-after.ts';
import type { TimeoutSettings } from '../resilience/settings.ts';
import type { BegunStream, StreamWishes } from './stream-roles.ts';
import type { PlainAnswer } from './whole-answer.ts';

/** A call's headers with what authorizes it, and a `redact` that knows that as well. */
export interface Authorized {
  headers: readonly string[];
  redact: Redact;
}

/** What is sent: the first time, or again for the rest of an answer. */
export interface AttemptCall extends Authorized {
  body: readonly Buffer[];
}

/** One HTTP request to one upstream. */
export interface AttemptRequest {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  readonly path: string;
  /** Name, value, name, value … without the body's length. */
  readonly headers: readonly string[];
  readonly body: readonly Buffer[];
  readonly redact: Redact;
  /** What authorizes a further call with this body, where calls are signed for what they send; null, or left out: the headers are the same. */
  reauthorize?(body: readonly Buffer[]): Promise<Authorized | { failure: Failure }> | null;
  /** Reads what is answered. */
  readonly reader: AnswerReader;
  /** Null: a whole answer is wanted. */
  readonly streaming: StreamWishes | null;
  readonly timeouts: TimeoutSettings;
  /** On the clock's monotonic time: when the whole request is over. */
  readonly deadline: number;
  readonly clock: Clock;
  readonly cancellation: Cancellation;
  /** An answer's headers, whatever its status; left out: nobody wants to know. */
  said?(headers: WireHeaders): void;
  /** The socket is not needed any more: there is no more to be sent, and the body is through or given up. Called once. Left out: nobody counts them. */
  socketFree?(): void;
  /** An event of the stream was dropped because it made no sense. */
  dropped(): void;
  /** The first content of a stream has come: at once, for all of it may be over before whoever awaits that hears of it. Left out: nobody wants to know. */
  streamBegun?(stream: BegunStream): void;
  /**
   * A streamed answer that had begun is over: complete (null) or broken. Called once, before the reader hears of it. `heldUp`: it ran
   * out of time while its reader took nothing, which is no fault of the upstream's.
   */
  streamOver(failure: Failure | null, heldUp: boolean): void;
}

export type AttemptEnd =
  /** Also where a stream was asked for. */
  | { kind: 'plain'; answer: PlainAnswer }
  /** Its first content has come; `flow` starts the rest. */
  | { kind: 'stream'; stream: BegunStream }
  /** `heldUp`: it never got a connection of its own, which says nothing of the upstream. */
  | { kind: 'failed'; failure: Failure; heldUp: boolean };

/** Where a try stands. It only moves down this list. */
export type AttemptState =
  | 'queued' // no free connection yet
  | 'sent' // no headers yet
  | 'collecting' // a plain answer, or an error's body
  | 'holding' // a stream before its first content
  | 'flowing' // a stream that has begun
  | 'draining' // the client has all; the body's end is awaited so that the socket can be used again
  | 'over';

export function awaitsHeaders(state: AttemptState): boolean {
  return state === 'queued' || state === 'sent';
}
