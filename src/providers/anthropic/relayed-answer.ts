import type { JsonObject } from '../../core/json.ts';
import type { AnswerReader, PlainReading } from '../adapter.ts';
import { isError, whyNoMessage } from './chat-answer.ts';
import { MessageEventReader } from './event-reader.ts';
import { outputOf } from './output.ts';
import { usageOf } from './usage.ts';

/** The answer to a client that speaks Anthropic's Messages: it passes as it came. */
export function relayedAnswer(): AnswerReader {
  return {
    plain: readMessage,
    stream: () => ({ kind: 'relayed', reader: new MessageEventReader() }),
  };
}

function readMessage(value: JsonObject, bytes: Buffer): PlainReading {
  if (isError(value)) return { kind: 'error', error: value };
  const why = whyNoMessage(value);
  if (why !== null) return { kind: 'broken', why };
  return { kind: 'answer', value, body: bytes, usage: usageOf(value), output: () => outputOf(value) };
}

/** The answer to a question of how many tokens a request has. */
export function countAnswer(): AnswerReader {
  return {
    plain: readCount,
    // It is never streamed; should it be, none of its events ends it.
    stream: () => ({ kind: 'relayed', reader: new MessageEventReader() }),
  };
}

function readCount(value: JsonObject, bytes: Buffer): PlainReading {
  if (isError(value)) return { kind: 'error', error: value };
  if (typeof value['input_tokens'] !== 'number') {
    return { kind: 'broken', why: 'the answer with status 200 had no number of tokens' };
  }
  return { kind: 'answer', value, body: bytes, usage: null, output: () => ({ characters: 0, reasoning: 0 }) };
}
