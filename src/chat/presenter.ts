import type { JsonObject } from '../core/json.ts';

/** An error as clients are told of it in the middle of a stream. */
export interface StreamError {
  message: string;
  type: string;
  code: string;
  /** Of a relayed stream: the event that was passed on last. */
  after?: JsonObject | null;
}

/**
 * Puts a streamed answer into the words of the client's dialect. One for each request. Given the chunks of OpenAI's chat completions, or, where the
 * target speaks the client's dialect itself (`relayed`), only asked how such a stream begins, ends and breaks.
 */
export interface Presenter {
  /** The events that stand for this chunk; null = none. Also for the one that only reports usage, whoever asked for it. */
  chunk(chunk: JsonObject): Buffer | null;
  /** What ends a whole stream after its last event; null = nothing. `relayed`: the events before it were the upstream's own. */
  end(relayed: boolean): Buffer | null;
  /** What ends a broken one: never to be taken for a whole answer. */
  error(error: StreamError): Buffer;
  /** Keeps a quiet stream open. */
  readonly ping: Buffer;
}
