import { ChunkWriter } from '../../chat/chunk-writer.ts';
import { CompletionWriter } from '../../chat/completion-writer.ts';
import type { AnswerFacts, AnswerWriter } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';
import type { AnswerReader, ChunkSink, PlainReading, StreamTranslator } from '../adapter.ts';
import { outputOf } from '../openai/output.ts';
import { BlockTeller, type Taken } from './blocks.ts';
import { UsageTally } from './usage.ts';

const NO_OBJECT = 'the input of a tool is no object';

/** The answer to a chat, told in the words of chat completions. */
export function chatAnswer(facts: AnswerFacts): AnswerReader {
  return {
    plain: (value) => readMessage(value, facts),
    stream: () => ({ kind: 'translated', translator: new MessageTranslator(facts) }),
  };
}

/** Why it is no whole message, for people; null if it is one. */
export function whyNoMessage({ content, stop_reason: reason }: JsonObject): string | null {
  if (!Array.isArray(content)) return 'the answer with status 200 had no content';
  return typeof reason === 'string' && reason !== '' ? null : 'the answer did not say why it stopped';
}

export function isError(value: JsonObject): boolean {
  return value['type'] === 'error' || Boolean(value['error']);
}

function readMessage(value: JsonObject, facts: AnswerFacts): PlainReading {
  if (isError(value)) return { kind: 'error', error: value };
  const why = whyNoMessage(value);
  if (why !== null) return { kind: 'broken', why };
  const writer = new CompletionWriter(facts);
  const tally = new UsageTally();
  const teller = new BlockTeller(writer);
  begin(value, writer);
  if (tally.take(value['usage']) && tally.usage !== null) writer.usage(tally.usage);
  for (const [index, block] of (value['content'] as Json[]).entries()) {
    const taken = teller.begin(index, block);
    if (taken === 'invalid') return { kind: 'broken', why: 'a block of the answer is damaged' };
    if (taken === 'unfit') return { kind: 'broken', why: NO_OBJECT };
    try {
      teller.end(index);
    } catch {
      return { kind: 'broken', why: 'the input of a tool is nested too deeply' };
    }
  }
  teller.finish(value['stop_reason'] as string, value['stop_details']);
  const completion = writer.completion();
  return {
    kind: 'answer',
    value: completion,
    body: Buffer.from(JSON.stringify(completion)),
    usage: tally.usage,
    output: () => outputOf(completion),
  };
}

/** What a message says of itself before its content. */
function begin({ model, usage }: JsonObject, writer: AnswerWriter): void {
  if (typeof model === 'string') writer.model(model);
  const tier = isJsonObject(usage) ? usage['service_tier'] : null;
  if (tier === 'standard') writer.extra('service_tier', 'default');
  else if (tier === 'priority') writer.extra('service_tier', tier);
}

/** The events of one streamed message. */
class MessageTranslator implements StreamTranslator {
  readonly #writer: ChunkWriter;
  readonly #teller: BlockTeller;
  readonly #tally = new UsageTally();

  constructor(facts: AnswerFacts) {
    this.#writer = new ChunkWriter(facts, NOWHERE);
    this.#teller = new BlockTeller(this.#writer);
  }

  event(data: string, type: string, sink: ChunkSink): void {
    this.#writer.target = sink;
    const event = tryParseJson(data);
    if (!isJsonObject(event)) {
      if (type === 'error') sink.error({ error: data });
      else if (data.trim() !== '') sink.invalid();
      return;
    }
    if (type === 'error' || isError(event)) {
      sink.error(event);
      return;
    }
    try {
      this.#read(event, sink);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      sink.broken('the input of a tool is nested too deeply');
    }
  }

  #read(event: JsonObject, sink: ChunkSink): void {
    const teller = this.#teller;
    switch (event['type']) {
      case 'ping':
        return;
      case 'message_start':
        this.#begin(event['message'], sink);
        return;
      case 'content_block_start':
        report(teller.begin(event['index'], event['content_block']), sink);
        return;
      case 'content_block_delta':
        report(teller.add(event['index'], event['delta']), sink);
        return;
      case 'content_block_stop':
        report(teller.end(event['index']), sink);
        return;
      case 'message_delta':
        this.#readDelta(event, sink);
        return;
      case 'message_stop':
        if (!teller.finished) sink.broken('the message ended without a reason to stop');
        else {
          this.#writer.end();
          sink.done();
        }
        return;
    }
    if (typeof event['type'] === 'string') sink.foreign();
    else sink.invalid();
  }

  #begin(message: Json | undefined, sink: ChunkSink): void {
    if (!isJsonObject(message)) {
      sink.invalid();
      return;
    }
    begin(message, this.#writer);
    this.#tellUsage(message['usage'], true);
  }

  #tellUsage(usage: Json | undefined, isBeginning: boolean): boolean {
    const isTold = this.#tally.take(usage, isBeginning);
    if (isTold && this.#tally.usage !== null) this.#writer.usage(this.#tally.usage);
    return isTold;
  }

  /** Why the message stops, and what it took. */
  #readDelta({ delta, usage }: JsonObject, sink: ChunkSink): void {
    const isTold = this.#tellUsage(usage, false);
    if (!isJsonObject(delta)) {
      if (!isTold) sink.invalid();
      return;
    }
    const { stop_reason: reason, stop_details: details } = delta;
    if (typeof reason !== 'string' || reason === '') return;
    if (this.#teller.finish(reason, details) === 'unfit') {
      sink.broken(NO_OBJECT);
      return;
    }
    // The last word: whoever waits for it need not wait for the end mark too.
    if (isTold) this.#writer.end();
  }

  end(sink: ChunkSink): null {
    this.#writer.target = sink;
    if (this.#teller.finished) this.#writer.end();
    return null;
  }
}

function report(taken: Taken, sink: ChunkSink): void {
  switch (taken) {
    case 'ok':
      return;
    case 'invalid':
      sink.invalid();
      return;
    case 'foreign':
      sink.foreign();
      return;
    case 'lost':
      sink.broken('a piece of a block came whose beginning did not');
      return;
    case 'unfit':
      sink.broken(NO_OBJECT);
  }
}

const NOWHERE = { chunk: () => {} };
