import type { Transcript } from '../chat/transcript.ts';
import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Usage } from '../core/usage.ts';
import type { Output } from '../providers/openai/output.ts';
import type { Continuation } from './continuing/continuation.ts';

/** Where a stream's bytes go once it has begun. */
export interface StreamSink {
  /** Takes bytes of whole events. False: the reader is slow; write no more until `resume`. */
  write(bytes: Buffer): boolean;
  /** The stream is over: complete (null), or broken. Called once, last. */
  end(failure: Failure | null): void;
}

/** What this usage costs, in US dollars; null if no price is known. */
export type Price = (usage: Usage) => number | null;

/** Puts a chunk into the words of the client's dialect; null: it says nothing there. */
export type Present = (chunk: JsonObject) => Buffer | null;

/** What a stream tells the try that it belongs to. */
export interface StreamOwner {
  /** The upstream has brought content, though none that the client lacks: it goes on with an answer of which that has the beginning. */
  heard(): void;
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
  present?: Present | null;
  /** Takes note of what the client is told, so that another stream can go on from it; null: nobody will. */
  transcript?: Transcript | null;
  /** It goes on with what another stream began: only what is new in it is the client's. Null: it begins. */
  continuation?: Continuation | null;
}

/** An answer of which the first content has come: what is delivered to the client. */
export interface BegunStream {
  /** What it took, as far as the upstream has told. */
  readonly usage: Usage | null;
  /** How much has gone to the client. */
  readonly passed: Readonly<Output>;
  /** Of a relayed stream: the event that was passed on last. */
  readonly lastEvent: JsonObject | null;
  /** What of it the client was told, where it could be gone on with if it breaks; null: it is not noted. */
  readonly transcript: Transcript | null;
  /** Where it goes on with an answer that broke; null: it is the first. */
  readonly continuation: Continuation | null;
  /** It came whole, and is only told as a stream; left out: it is one. */
  readonly whole?: true;
  /** Hands the stream to its reader: first what was held back, then the rest as it comes. */
  flow(sink: StreamSink): void;
  /** The reader can take more. */
  resume(): void;
  /** Instead of `flow`: there will be no reader. */
  letGo(): void;
}
