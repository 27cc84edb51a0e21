import { CompletionWriter } from '../../chat/completion-writer.ts';
import type { ThinkingOrigin } from '../../chat/extensions.ts';
import type { AnswerFacts } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { AnswerReader, PlainReading, StreamFormat } from '../adapter.ts';
import { outputOf } from '../openai/output.ts';
import { BlockWriter, malformed } from './block-writer.ts';
import { frameDecoder } from './event-stream.ts';
import { tellTier } from './tier.ts';
import { ConverseTranslator } from './translator.ts';
import { readConverseUsage } from './usage.ts';

/** The answer of Converse or ConverseStream to one try. */
export class ConverseAnswer implements AnswerReader {
  readonly #facts: AnswerFacts;
  readonly #origin: ThinkingOrigin;

  constructor(facts: AnswerFacts, origin: ThinkingOrigin) {
    this.#facts = facts;
    this.#origin = origin;
  }

  plain(value: JsonObject): PlainReading {
    const error = errorIn(value);
    if (error !== null) return { kind: 'error', error };
    const { output, stopReason, usage } = value;
    const message = isJsonObject(output) ? output['message'] : null;
    const content = isJsonObject(message) ? message['content'] : null;
    if (!Array.isArray(content)) return broken('the answer with status 200 had no message');
    if (typeof stopReason !== 'string' || stopReason === '') {
      return broken('the answer did not say why it ended');
    }
    const failure = malformed(stopReason);
    if (failure !== null) return { kind: 'error', error: failure };
    const writer = new CompletionWriter(this.#facts);
    const used = isJsonObject(usage) ? readConverseUsage(usage) : null;
    if (used !== null) writer.usage(used);
    tellTier(value['serviceTier'], writer);
    const blocks = new BlockWriter(writer.choice(0), this.#origin);
    try {
      for (const [index, block] of content.entries()) {
        if (!tellBlock(block, index, blocks)) return broken('a block of the answer was not well-formed');
      }
      blocks.finish(stopReason);
      const completion = writer.completion();
      const body = Buffer.from(JSON.stringify(completion));
      return { kind: 'answer', value: completion, body, usage: used, output: () => outputOf(completion) };
    } catch (cause) {
      // Arguments nested too deeply to be printed.
      if (cause instanceof RangeError) return broken('the answer was nested too deeply');
      throw cause;
    }
  }

  stream(): StreamFormat {
    return {
      kind: 'translated',
      translator: new ConverseTranslator(this.#facts, this.#origin),
      decoder: frameDecoder,
    };
  }
}

function broken(why: string): PlainReading {
  return { kind: 'broken', why };
}

/** An error that came with status 200, in one of the forms that AWS's front doors have for it. */
function errorIn(value: JsonObject): JsonObject | null {
  if (value['output'] !== undefined) return null;
  const { Output: output, __type: type, message } = value;
  const name = isJsonObject(output) ? output['__type'] : type;
  if (typeof name !== 'string' && typeof message !== 'string') return null;
  // `com.amazon.coral.service#UnknownOperationException`
  const short = typeof name === 'string' ? name.replace(/^.*#/s, '') : null;
  return {
    error: {
      ...(short === null ? {} : { type: short }),
      message: typeof message === 'string' ? message : `${short}`,
    },
  };
}

/** One block of a whole answer. False: it is not well-formed. */
function tellBlock(block: Json, index: number, blocks: BlockWriter): boolean {
  if (!isJsonObject(block)) return false;
  let isWell = true;
  if (block['text'] !== undefined) isWell = blocks.text(index, block['text']);
  if (block['reasoningContent'] !== undefined)
    isWell &&= tellReasoning(block['reasoningContent'], index, blocks);
  if (block['toolUse'] !== undefined) isWell &&= tellToolUse(block['toolUse'], index, blocks);
  if (block['citationsContent'] !== undefined)
    isWell &&= tellCitations(block['citationsContent'], index, blocks);
  blocks.stop(index);
  return isWell;
}

function tellReasoning(reasoning: Json | undefined, index: number, blocks: BlockWriter): boolean {
  if (!isJsonObject(reasoning)) return false;
  const { reasoningText, redactedContent } = reasoning;
  if (redactedContent !== undefined && !blocks.redacted(index, redactedContent)) return false;
  if (reasoningText === undefined) return true;
  if (!isJsonObject(reasoningText) || !blocks.reasoning(index, reasoningText['text'] ?? '')) return false;
  return reasoningText['signature'] == null || blocks.signature(index, reasoningText['signature']);
}

function tellToolUse(toolUse: Json | undefined, index: number, blocks: BlockWriter): boolean {
  if (!isJsonObject(toolUse) || !blocks.toolCall(index, toolUse)) return false;
  const { input } = toolUse;
  if (input == null || input === '') return true;
  return isJsonObject(input) && blocks.toolInput(index, JSON.stringify(input));
}

function tellCitations(cited: Json | undefined, index: number, blocks: BlockWriter): boolean {
  if (!isJsonObject(cited)) return false;
  const { content = [], citations = [] } = cited;
  if (!Array.isArray(content) || !Array.isArray(citations)) return false;
  return (
    content.every((piece) => isJsonObject(piece) && blocks.text(index, piece['text'] ?? '')) &&
    citations.every((citation) => blocks.citation(index, citation))
  );
}
