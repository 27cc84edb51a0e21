import { ChunkWriter } from '../../chat/chunk-writer.ts';
import { CompletionWriter } from '../../chat/completion-writer.ts';
import type { AnswerFacts } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';
import type { AnswerReader, ChunkSink, PlainReading, StreamFormat, StreamTranslator } from '../adapter.ts';
import { outputOf } from '../openai/output.ts';
import type { Fault } from './candidate.ts';
import { ResponseReader } from './response.ts';

/** How the answer to a chat is read. `body`: of the call; `choices`: how many were asked for. */
export function chatAnswer(facts: AnswerFacts, body: readonly Buffer[], choices: number): AnswerReader {
  const writer = new CompletionWriter(facts);
  const reader = new ResponseReader(writer, choices, body);
  return {
    plain: (value) => readPlain(value, reader, writer),
    stream: (): StreamFormat => ({ kind: 'translated', translator: new Translator(facts, body, choices) }),
  };
}

function readPlain(value: JsonObject, reader: ResponseReader, writer: CompletionWriter): PlainReading {
  if (value['error']) return { kind: 'error', error: value };
  const fault = reader.read(value);
  if (fault !== null && fault.kind !== 'unknown') return { kind: 'broken', why: whyOf(fault) };
  const rest = reader.rest();
  if (rest !== null) return { kind: 'again', body: rest };
  if (!writer.finished) {
    return { kind: 'broken', why: 'the answer with status 200 had no candidate that finished' };
  }
  const completion = writer.completion();
  return {
    kind: 'answer',
    value: completion,
    body: Buffer.from(JSON.stringify(completion)),
    usage: reader.usage,
    output: () => outputOf(completion),
  };
}

function whyOf(fault: Fault): string {
  return fault.kind === 'broken'
    ? fault.why
    : 'the answer with status 200 was not of the form that it should have';
}

/** Where a writer's chunks go before there is a sink: nowhere, since none come. */
const NOWHERE = { chunk: () => {} };

class Translator implements StreamTranslator {
  readonly #writer: ChunkWriter;
  readonly #reader: ResponseReader;

  constructor(facts: AnswerFacts, body: readonly Buffer[], choices: number) {
    this.#writer = new ChunkWriter(facts, NOWHERE);
    this.#reader = new ResponseReader(this.#writer, choices, body);
  }

  event(data: string, type: string, sink: ChunkSink): void {
    // Google ends its streams without a mark; some of those who stand in front of it put one.
    if (data === '' || data === '[DONE]') return;
    const value = tryParseJson(data);
    if (type === 'error' && !isJsonObject(value)) sink.error({ error: data });
    // A call comes whole in one event: without it the answer would look like one that calls nothing.
    else if (value === undefined && data.includes('"functionCall"')) {
      sink.broken('an event with a call of a function was not valid JSON');
    }
    // Whoever does not know of events gets a list, and so does now and then one who does.
    else if (Array.isArray(value)) for (const one of value) this.#response(one, type, sink);
    else this.#response(value, type, sink);
  }

  end(sink: ChunkSink): readonly Buffer[] | null {
    this.#writer.target = sink;
    const rest = this.#reader.rest();
    if (rest === null) this.#writer.end();
    return rest;
  }

  #response(value: Json | undefined, type: string, sink: ChunkSink): void {
    if (!isJsonObject(value)) sink.invalid();
    else if (value['error'] || type === 'error') sink.error(value);
    else {
      this.#writer.target = sink;
      const fault = this.#reader.read(value);
      if (fault?.kind === 'broken') sink.broken(fault.why);
      else if (fault?.kind === 'damaged') sink.invalid();
      else if (fault?.kind === 'unknown') sink.foreign();
      // The last piece brings the usage with it: nothing needs to be waited for.
      if (this.#reader.finished && isJsonObject(value['usageMetadata'])) {
        this.#writer.end();
        sink.done();
      }
    }
  }
}
