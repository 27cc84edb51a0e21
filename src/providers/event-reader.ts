import type { JsonObject } from '../core/json.ts';
import type { Usage } from '../core/usage.ts';
import type { Output } from './openai/output.ts';

/**
 * What an event of a stream turned out to be.
 * - `content`: brings the client something: text, a piece of a tool call, reasoning, a finish
 * - `quiet`: well-formed, but brings nothing yet (a role, an empty delta)
 * - `usage`: only reports usage
 * - `error`: an error object; see `error`
 * - `done`: the end mark
 * - `ping`: a sign of life, and nothing for the client
 * - `foreign`: JSON, but no chunk; nothing of the answer can have been in it
 * - `invalid`: what may have been a chunk, but is damaged
 */
export type ChunkKind = 'content' | 'quiet' | 'usage' | 'error' | 'done' | 'ping' | 'foreign' | 'invalid';

/** Follows one stream of events in a dialect: what has begun, what has finished, what was used. */
export interface EventReader {
  readonly usage: Usage | null;
  /** What the upstream reported, from the first event that did. */
  readonly model: string | null;
  /** The last `error`'s object: the whole event. */
  readonly error: JsonObject | null;
  /** The event that was read last, if the host left out what clients rely on: with that put in. */
  readonly mended: JsonObject | null;
  /** The event that was read last, parsed; null where it was no JSON object. */
  readonly value: JsonObject | null;
  /** The event that was read last reports usage. */
  readonly reportsUsage: boolean;
  /** How much the event that was read last brings, over all its choices. */
  readonly output: Readonly<Output>;
  /** Every choice that was asked for has its finish reason. */
  readonly finished: boolean;
  /** Every choice that has begun has its finish reason, though a host may have given fewer than were asked for. */
  readonly finishedAllBegun: boolean;
  /** A tool call has begun whose choice has not finished: a lost event would be a lost piece of its arguments. */
  readonly callingTool: boolean;
  /**
   * Takes an event, which begins at `start` with `data: `, if it differs from one before in nothing but its text: it is `content`, and only its
   * `output` is known then, no `value`. Gives where it ends, after its blank line; 0: it is to be read.
   */
  readAlike?(bytes: Buffer, start: number): number;
  /** One event: its data, and its event field or ''. */
  read(data: string, eventType: string): ChunkKind;
}
