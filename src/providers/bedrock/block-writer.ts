import type { ThinkingOrigin } from '../../chat/extensions.ts';
import type { ChoiceWriter, FinishReason } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';

/** One block that has begun. */
interface Block {
  /** The index of its tool call; null: it is none; 'skipped': a tool that the provider runs by itself. */
  call: number | 'skipped' | null;
  /** The pieces of its arguments that have come. */
  pieces: string;
  thought: string;
  signature: string;
  redacted: string[];
  citations: { url: string; title: string }[];
  /** Where its text begins. */
  start: number;
}

/**
 * Tells Converse's blocks in OpenAI's terms: those of a whole answer one after the other, those of a stream piece by piece. Every method but `finish`
 * names the block by its index, and gives false for what makes no sense.
 */
export class BlockWriter {
  readonly #choice: ChoiceWriter;
  readonly #origin: ThinkingOrigin;
  readonly #blocks = new Map<number, Block>();
  /** The pieces of a call's arguments make no object. */
  #hasUnfit = false;

  constructor(choice: ChoiceWriter, origin: ThinkingOrigin) {
    this.#choice = choice;
    this.#origin = origin;
  }

  text(index: number, text: Json | undefined): boolean {
    if (typeof text !== 'string') return false;
    this.#block(index);
    this.#choice.text(text);
    return true;
  }

  reasoning(index: number, text: Json | undefined): boolean {
    if (typeof text !== 'string') return false;
    this.#block(index).thought += text;
    this.#choice.reasoning(text);
    return true;
  }

  signature(index: number, signature: Json | undefined): boolean {
    if (typeof signature !== 'string') return false;
    this.#block(index).signature += signature;
    return true;
  }

  /** `content`: base64. */
  redacted(index: number, content: Json | undefined): boolean {
    if (typeof content !== 'string') return false;
    if (content !== '') this.#block(index).redacted.push(content);
    return true;
  }

  toolCall(index: number, toolUse: Json | undefined): boolean {
    if (!isJsonObject(toolUse)) return false;
    const { toolUseId, name, type } = toolUse;
    if (typeof name !== 'string' || name === '') return false;
    const block = this.#block(index);
    if (block.call !== null) return false;
    block.call =
      type === 'server_tool_use'
        ? 'skipped'
        : this.#choice.toolCall({ id: typeof toolUseId === 'string' ? toolUseId : null, name });
    return true;
  }

  /** A piece of the arguments of a call. Only of one that has begun: else its beginning was lost. */
  toolInput(index: number, fragment: string): boolean {
    const block = this.#blocks.get(index);
    if (block === undefined || block.call === null) return false;
    if (block.call === 'skipped') return true;
    block.pieces += fragment;
    this.#choice.toolArguments(block.call, fragment);
    return true;
  }

  /** Only links: OpenAI has no words for places in documents. They count for the text of their block, which may come after them. */
  citation(index: number, citation: Json | undefined): boolean {
    if (!isJsonObject(citation)) return false;
    const { location, title } = citation;
    const web = isJsonObject(location) ? location['web'] : null;
    const block = this.#block(index);
    if (isJsonObject(web) && typeof web['url'] === 'string' && web['url'] !== '') {
      block.citations.push({ url: web['url'], title: textOr(title, textOr(web['domain'], '')) });
    }
    return true;
  }

  /** The block has ended. */
  stop(index: number): void {
    const block = this.#blocks.get(index);
    if (block === undefined) return;
    this.#blocks.delete(index);
    if (block.pieces !== '') this.#hasUnfit ||= !isJsonObject(tryParseJson(block.pieces));
    const origin = this.#origin;
    if (block.signature !== '') {
      const { thought: thinking, signature } = block;
      this.#choice.thinkingBlock({ type: 'thinking', thinking, signature, origin });
    }
    if (block.redacted.length > 0) {
      this.#choice.thinkingBlock({ type: 'redacted_thinking', data: joined(block.redacted), origin });
    }
    for (const { url, title } of block.citations) {
      this.#choice.citation({ url, title, start: block.start, end: this.#choice.textLength });
    }
  }

  /**
   * The message has ended, and with it what is still open. False: a tool was called with what is no object, and not because the answer was cut off
   * there.
   */
  finish(stopReason: string): boolean {
    for (const index of [...this.#blocks.keys()]) this.stop(index);
    const finish = finishReason(stopReason, this.#choice.hasToolCalls);
    if (this.#hasUnfit && (finish === 'tool_calls' || finish === 'stop')) return false;
    this.#choice.finish(finish);
    return true;
  }

  #block(index: number): Block {
    let block = this.#blocks.get(index);
    if (block === undefined) {
      const start = this.#choice.textLength;
      block = { call: null, pieces: '', thought: '', signature: '', redacted: [], citations: [], start };
      this.#blocks.set(index, block);
    }
    return block;
  }
}

function textOr(value: Json | undefined, other: string): string {
  return typeof value === 'string' ? value : other;
}

/** One text of base64, whose pieces may each be padded. */
function joined(pieces: readonly string[]): string {
  const [first = ''] = pieces;
  if (pieces.length === 1) return first;
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64'))).toString('base64');
}

function finishReason(stopReason: string, hasToolCalls: boolean): FinishReason {
  switch (stopReason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'content_filtered':
    case 'guardrail_intervened':
      return 'content_filter';
    default:
      return hasToolCalls || stopReason === 'tool_use' ? 'tool_calls' : 'stop';
  }
}

/** A stop that is none: the same asked again often goes well. Null for all others. */
export function malformed(stopReason: string): JsonObject | null {
  if (stopReason !== 'malformed_model_output' && stopReason !== 'malformed_tool_use') return null;
  const what = stopReason === 'malformed_tool_use' ? 'a tool call' : 'an answer';
  return { error: { type: stopReason, message: `The model wrote ${what} that could not be read.` } };
}
