import { ChunkWriter } from '../../chat/chunk-writer.ts';
import type { ThinkingOrigin } from '../../chat/extensions.ts';
import type { AnswerFacts } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';
import type { ChunkSink, StreamTranslator } from '../adapter.ts';
import { BlockWriter, malformed } from './block-writer.ts';
import { FAILED } from './event-stream.ts';
import { tellTier } from './tier.ts';
import { readConverseUsage } from './usage.ts';

/** ConverseStream's events to chunks. The data is the event's member itself; `p` in it is padding. */
export class ConverseTranslator implements StreamTranslator {
  readonly #writer: ChunkWriter;
  readonly #blocks: BlockWriter;
  #hasStopped = false;
  #hasMetadata = false;

  constructor(facts: AnswerFacts, origin: ThinkingOrigin) {
    this.#writer = new ChunkWriter(facts, { chunk: () => {} });
    this.#blocks = new BlockWriter(this.#writer.choice(0), origin);
  }

  event(data: string, type: string, sink: ChunkSink): void {
    this.#writer.target = sink;
    const event = tryParseJson(data);
    if (type.startsWith(FAILED)) {
      sink.error(failureOf(type.slice(FAILED.length), event));
      return;
    }
    if (!isJsonObject(event)) {
      sink.invalid();
      return;
    }
    switch (type) {
      case 'messageStart':
      case 'initial-response':
        return;
      case 'contentBlockStart':
        this.#start(event, sink);
        return;
      case 'contentBlockDelta':
        this.#delta(event, sink);
        return;
      case 'contentBlockStop':
        if (isIndex(event['contentBlockIndex'])) this.#blocks.stop(event['contentBlockIndex']);
        else sink.invalid();
        return;
      case 'messageStop':
        this.#stop(event['stopReason'], sink);
        return;
      case 'metadata':
        this.#metadata(event, sink);
        return;
      default:
        sink.foreign();
    }
  }

  end(sink: ChunkSink): null {
    // A body that ends after the finish without its usage brought the whole answer all the same.
    this.#writer.target = sink;
    this.#writer.end();
    return null;
  }

  /** Only what is called has one of these; other blocks begin with their first delta. */
  #start({ contentBlockIndex: index, start }: JsonObject, sink: ChunkSink): void {
    if (!isIndex(index)) {
      sink.invalid();
      return;
    }
    const toolUse = isJsonObject(start) ? start['toolUse'] : undefined;
    if (toolUse === undefined) return;
    if (!this.#blocks.toolCall(index, toolUse)) sink.broken('a tool call of the stream began without a name');
  }

  #delta({ contentBlockIndex: index, delta }: JsonObject, sink: ChunkSink): void {
    if (!isIndex(index) || !isJsonObject(delta)) {
      sink.invalid();
      return;
    }
    const blocks = this.#blocks;
    const { text, toolUse, reasoningContent, citation } = delta;
    if (text !== undefined && !blocks.text(index, text)) sink.invalid();
    if (reasoningContent !== undefined && !this.#reasoning(index, reasoningContent)) sink.invalid();
    if (citation !== undefined && !blocks.citation(index, citation)) sink.invalid();
    if (toolUse !== undefined) this.#toolInput(index, toolUse, sink);
    else if (text === undefined && reasoningContent === undefined && citation === undefined) {
      // What the provider's own tools answered, and pictures.
      if (Object.keys(delta).length > 0) sink.foreign();
    }
  }

  #reasoning(index: number, reasoning: Json): boolean {
    if (!isJsonObject(reasoning)) return false;
    const { text, signature, redactedContent } = reasoning;
    const blocks = this.#blocks;
    if (text !== undefined && !blocks.reasoning(index, text)) return false;
    if (signature !== undefined && !blocks.signature(index, signature)) return false;
    return redactedContent === undefined || blocks.redacted(index, redactedContent);
  }

  #toolInput(index: number, toolUse: Json, sink: ChunkSink): void {
    const input = isJsonObject(toolUse) ? toolUse['input'] : undefined;
    if (typeof input !== 'string') sink.broken("a piece of a tool call's arguments was not well-formed");
    else if (!this.#blocks.toolInput(index, input)) {
      sink.broken('the stream went on with a tool call that had not begun');
    }
  }

  #stop(stopReason: Json | undefined, sink: ChunkSink): void {
    if (typeof stopReason !== 'string' || stopReason === '') {
      sink.invalid();
      return;
    }
    const failure = malformed(stopReason);
    if (failure !== null) {
      sink.error(failure);
      return;
    }
    if (!this.#blocks.finish(stopReason)) {
      sink.broken('the arguments of a tool call were no object');
      return;
    }
    this.#hasStopped = true;
    this.#endIfWhole(sink);
  }

  /** Comes last, after the message has stopped. */
  #metadata({ usage, serviceTier }: JsonObject, sink: ChunkSink): void {
    this.#hasMetadata = true;
    if (isJsonObject(usage)) this.#writer.usage(readConverseUsage(usage));
    tellTier(serviceTier, this.#writer);
    this.#endIfWhole(sink);
  }

  #endIfWhole(sink: ChunkSink): void {
    if (!this.#hasStopped || !this.#hasMetadata) return;
    this.#writer.end();
    sink.done();
  }
}

function isIndex(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

/** What failed, by the name that the frame gave it; with the status of the model's own host, if it says one. */
function failureOf(name: string, event: Json | undefined): JsonObject {
  const said = isJsonObject(event) ? event : {};
  const message = [said['originalMessage'], said['message'], said['Message']].find(
    (one) => typeof one === 'string' && one !== '',
  );
  return { error: { type: name, message: message ?? 'The stream failed.' } };
}
