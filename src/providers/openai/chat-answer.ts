import { isJsonObject, type JsonObject } from '../../core/json.ts';
import type { AnswerReader, PlainReading } from '../adapter.ts';
import { ChunkReader, readUsage } from './chunk.ts';
import { outputOf } from './output.ts';

/** The answer to a chat that goes to the client as it came. `choices`: how many were asked for. */
export function chatAnswer(choices: number): AnswerReader {
  return choices === 1 ? OF_ONE_CHOICE : readerOf(choices);
}

/** By itself it remembers nothing. */
function readerOf(choices: number): AnswerReader {
  return {
    plain: readCompletion,
    stream: () => ({ kind: 'relayed', reader: new ChunkReader(choices) }),
  };
}

const OF_ONE_CHOICE = readerOf(1);

/** A whole chat completion, or what only looks like one. */
function readCompletion(value: JsonObject, bytes: Buffer): PlainReading {
  if (value['error'] || value['object'] === 'error') return { kind: 'error', error: value };
  const choices = value['choices'];
  if (!Array.isArray(choices) || choices.length === 0) {
    return { kind: 'broken', why: 'the answer with status 200 had no choices' };
  }
  // OpenRouter puts the error of the host behind it into the choice.
  for (const choice of choices) {
    if (isJsonObject(choice) && choice['finish_reason'] === 'error') return { kind: 'error', error: choice };
  }
  const usage = value['usage'];
  return {
    kind: 'answer',
    value,
    body: bytes,
    usage: isJsonObject(usage) ? readUsage(usage) : null,
    output: () => outputOf(value),
  };
}
