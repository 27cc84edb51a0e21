import type { Clock } from '../core/clock.ts';
import { isJsonObject, tryParseJson } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import type { AnswerReader, PlainReading } from '../providers/adapter.ts';
import { readFailure, readInBandError } from '../providers/failure.ts';
import { headerText, type WireHeaders } from '../providers/retry-after.ts';
import { contentCoding } from './decompress.ts';
import { plainFailure } from './transport-failure.ts';

/** An answer whose body has come whole, or as much of it as will come. */
export interface WholeAnswer {
  status: number;
  headers: WireHeaders;
  /** Null: it came compressed, and could not be unpacked. */
  body: Buffer | null;
  /** For the dates in an error. */
  clock: Pick<Clock, 'wall'>;
}

/** An answer that goes to a client, in the words of the dialect that the target was asked in. */
export type PlainAnswer = Extract<PlainReading, { kind: 'answer' }>;

/** Asked for a stream, does it answer with something else? */
export function saysWhole(headers: WireHeaders): boolean {
  return /\bjson\b|\bhtml\b/i.test(headerText(headers, 'content-type') ?? '');
}

/** Why a whole answer is none, where it cannot be told as the stream that was asked for. */
export const PLAIN_ANSWER = 'asked for a stream, the upstream sent a plain answer';

type Read = PlainAnswer | Extract<PlainReading, { kind: 'again' }> | { kind: 'failed'; failure: Failure };

/** Reads an answer: what goes to the client, or what it is instead. */
export function readWholeAnswer(answer: WholeAnswer, reader: AnswerReader, redact: Redact): Read {
  try {
    return read(answer, reader, redact);
  } catch (error) {
    // An error nested so deep that it cannot be printed, for one.
    const why = error instanceof Error ? error.message : String(error);
    return failed(plainFailure('broken_body', `unreadable answer: ${why}`));
  }
}

/** How a try ends whose answer came whole. A part of one that goes on is none where a stream was asked for. */
export function endOf(
  read: Read,
): { kind: 'plain'; answer: PlainAnswer } | { kind: 'failed'; failure: Failure; heldUp: false } {
  if (read.kind === 'answer') return { kind: 'plain', answer: read };
  const failure = read.kind === 'failed' ? read.failure : plainFailure('broken_body', PLAIN_ANSWER);
  return { kind: 'failed', failure, heldUp: false };
}

function read(answer: WholeAnswer, reader: AnswerReader, redact: Redact): Read {
  const { status, headers, clock } = answer;
  const body = answer.body === null ? null : withoutMark(answer.body);
  // Of an error, the status says enough.
  if (status >= 300) {
    return failed(
      readFailure({ status, headers, text: body?.toString() ?? '', wallMs: clock.wall() }, redact),
    );
  }
  if (body === null) {
    const coding = contentCoding(headers);
    const damaged = plainFailure('broken_body', `damaged ${coding} body`);
    return failed(coding === 'unknown' ? unknownCoding(headers, redact) : damaged);
  }
  const value = tryParseJson(body.toString());
  if (!isJsonObject(value)) return failed(noObject(body, redact));
  const reading = reader.plain(value, body, headers);
  switch (reading.kind) {
    case 'error':
      return failed(readInBandError(reading.error, redact));
    case 'broken':
      return failed(plainFailure('broken_body', reading.why));
    default:
      return reading;
  }
}

/** Some servers write a byte order mark first. It is no part of the JSON, which clients would fail on with it. */
function withoutMark(body: Buffer): Buffer {
  const isMarked = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  return isMarked ? body.subarray(3) : body;
}

function failed(failure: Failure): { kind: 'failed'; failure: Failure } {
  return { kind: 'failed', failure };
}

/** It came compressed in a way that we cannot unpack. */
export function unknownCoding(headers: WireHeaders, redact: Redact): Failure {
  const coding = redact(headerText(headers, 'content-encoding') ?? '').slice(0, 50);
  return plainFailure('broken_body', `cannot unpack content-encoding ${coding}`);
}

/** Status 200, and no JSON object. */
function noObject(body: Buffer, redact: Redact): Failure {
  const what = 'the answer with status 200 was not a JSON object';
  // Cleaned before it is cut: half a key would not be found.
  const start = redact(body.toString()).replace(/\s+/g, ' ').trim().slice(0, 200);
  // A page or a proxy's words help whoever looks into it. What began as JSON is a piece of an answer, and nobody's business.
  return plainFailure('broken_body', /^[{["]/.test(start) ? what : `${what}: ${start}`);
}
