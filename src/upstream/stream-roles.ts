import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Usage } from '../core/usage.ts';

/** Where a stream's bytes go once it has begun. */
export interface StreamSink {
  /** Takes bytes of whole events. False: the reader is slow; write no more until `resume`. */
  write(bytes: Buffer): boolean;
  /** The stream is over: complete (null), or broken. Called once, last. */
  end(failure: Failure | null): void;
}

/** What this usage costs, in US dollars; null if no price is known. */
export type Price = (usage: Usage) => number | null;

/** What a stream tells the try that it belongs to. */
export interface StreamOwner {
  /** The first content has come: the try has succeeded so far. */
  begun(): void;
  /** Every choice has its finish: only usage and the end are still to come. Again where a host sends more content all the same. */
  finished(): void;
  /** All that the client needs has come, though the body may go on. */
  complete(): void;
  broken(failure: Failure): void;
  /** An event was dropped because it made no sense. */
  dropped(): void;
  /** The reader is slow: read no more of the body until `resume`. */
  pause(): void;
  resume(): void;
  /** The rest is to be asked for, with this body: `push` and `bodyEnded` go on with what is answered. */
  again(body: readonly Buffer[]): void;
}

/** What the client of a stream is given of it. */
export interface StreamWishes {
  /** How many choices were asked for. */
  choices: number;
  /** The client asked for the usage chunk. */
  wantsUsage: boolean;
  /** Its events have types that the client reads: as in all dialects but chat. */
  named: boolean;
  /** What is said as `usage.cost` to a client that wants usage; null says nothing. */
  price?: Price | null;
  /** Puts chunks into the words of the client's dialect; null: they are the client's own, or the target speaks them. */
  present?: ((chunk: JsonObject) => Buffer | null) | null;
}
