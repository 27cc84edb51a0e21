import type { AnswerWriter, ChoiceWriter, FinishReason } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';

/**
 * What became of a piece of an answer.
 * - `ok`: it was told, or is known to mean nothing to a client of chat completions
 * - `invalid`: damaged
 * - `foreign`: of a kind that is not known here
 * - `lost`: it belongs to a block whose beginning never came, or to one of another kind: a part of the answer is missing
 * - `unfit`: a tool was called with what is no object
 */
export type Taken = 'ok' | 'invalid' | 'foreign' | 'lost' | 'unfit';

/** Blocks of tools that Anthropic runs itself. Chat completions show what comes of them, text and links, and not that they ran. */
const SERVER_SIDE = new Set([
  'server_tool_use',
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'container_upload',
]);

type Block =
  /** `start`: where its text begins in the content. */
  | { type: 'text'; start: number; links: { url: string; title: string }[] }
  | { type: 'thinking'; text: string; signature: string }
  /** `input`: as the beginning had it, which is empty where pieces follow. `pieces`: all that have come. */
  | { type: 'tool_use'; call: number; input: JsonObject; pieces: string }
  | { type: 'other' };

/** Tells Anthropic's content blocks to an `AnswerWriter`: whole ones, and those that come in pieces. */
export class BlockTeller {
  readonly #choice: ChoiceWriter;
  readonly #open = new Map<number, Block>();
  /** The pieces of a call's input make no object. */
  #hasUnfit = false;
  #finished = false;

  constructor(writer: AnswerWriter) {
    this.#choice = writer.choice(0);
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** A block begins, with as much of it as there is yet. */
  begin(index: Json | undefined, block: Json | undefined): Taken {
    if (typeof index !== 'number' || !isJsonObject(block)) return 'invalid';
    if (this.#finished) return 'foreign';
    this.#close(index);
    const begun = this.#beginBlock(block);
    if (typeof begun === 'string') return begun;
    this.#open.set(index, begun.block);
    return begun.taken;
  }

  #beginBlock(block: JsonObject): { block: Block; taken: Taken } | Taken {
    const choice = this.#choice;
    switch (block['type']) {
      case 'text': {
        const text: Block = { type: 'text', start: choice.textLength, links: [] };
        choice.text(textIn(block, 'text'));
        const { citations } = block;
        if (Array.isArray(citations)) for (const citation of citations) addLink(text, citation);
        return { block: text, taken: 'ok' };
      }
      case 'thinking': {
        const text = textIn(block, 'thinking');
        choice.reasoning(text);
        return { block: { type: 'thinking', text, signature: textIn(block, 'signature') }, taken: 'ok' };
      }
      case 'redacted_thinking': {
        const { data } = block;
        if (typeof data !== 'string') return 'invalid';
        choice.thinkingBlock({ type: 'redacted_thinking', data });
        return { block: { type: 'other' }, taken: 'ok' };
      }
      case 'tool_use': {
        const { id, name, input } = block;
        if (typeof name !== 'string' || name === '') return 'invalid';
        const whole = input == null || input === '' ? {} : input;
        if (!isJsonObject(whole)) return 'unfit';
        const call = choice.toolCall({ id: typeof id === 'string' ? id : null, name });
        return { block: { type: 'tool_use', call, input: whole, pieces: '' }, taken: 'ok' };
      }
    }
    if (typeof block['type'] !== 'string') return 'invalid';
    return { block: { type: 'other' }, taken: SERVER_SIDE.has(block['type']) ? 'ok' : 'foreign' };
  }

  /** The next piece of a block. */
  add(index: Json | undefined, delta: Json | undefined): Taken {
    if (typeof index !== 'number' || !isJsonObject(delta)) return 'invalid';
    if (this.#finished) return 'foreign';
    const block = this.#open.get(index);
    if (block === undefined) return 'lost';
    if (block.type === 'other') return 'ok';
    switch (delta['type']) {
      case 'text_delta':
        if (block.type !== 'text') return 'lost';
        return tell(delta['text'], (text) => this.#choice.text(text));
      case 'input_json_delta':
        if (block.type !== 'tool_use') return 'lost';
        return tell(delta['partial_json'], (json) => {
          block.pieces += json;
          this.#choice.toolArguments(block.call, json);
        });
      case 'thinking_delta':
        if (block.type !== 'thinking') return 'lost';
        return tell(delta['thinking'], (text) => {
          block.text += text;
          this.#choice.reasoning(text);
        });
      case 'signature_delta':
        if (block.type !== 'thinking') return 'lost';
        return tell(delta['signature'], (signature) => {
          block.signature = signature;
        });
      case 'citations_delta':
        if (block.type !== 'text') return 'lost';
        addLink(block, delta['citation']);
        return 'ok';
    }
    return typeof delta['type'] === 'string' ? 'foreign' : 'invalid';
  }

  end(index: Json | undefined): Taken {
    if (typeof index !== 'number') return 'invalid';
    if (this.#finished) return 'ok';
    return this.#close(index) ? 'ok' : 'lost';
  }

  /** The answer is whole. Only the first time. A call that was cut off with its answer is what the client asked for; any other must be whole. */
  finish(reason: string, details: Json | undefined): 'ok' | 'unfit' {
    if (this.#finished) return 'ok';
    for (const index of [...this.#open.keys()]) this.#close(index);
    this.#finished = true;
    const choice = this.#choice;
    const finish = finishReason(reason, choice.hasToolCalls);
    if (this.#hasUnfit && (finish === 'tool_calls' || finish === 'stop')) return 'unfit';
    if (finish === 'content_filter' && isJsonObject(details)) choice.refusal(textIn(details, 'explanation'));
    choice.finish(finish);
    return 'ok';
  }

  /** Tells what can only be told at a block's end. False if there is no such block. */
  #close(index: number): boolean {
    const block = this.#open.get(index);
    if (block === undefined) return false;
    this.#open.delete(index);
    const choice = this.#choice;
    if (block.type === 'text') {
      const place = { start: block.start, end: choice.textLength };
      for (const link of block.links) choice.citation({ ...link, ...place });
    } else if (block.type === 'thinking') {
      const { text, signature } = block;
      // What is not signed cannot be handed back.
      if (signature !== '') choice.thinkingBlock({ type: 'thinking', thinking: text, signature });
    } else if (block.type === 'tool_use') {
      if (block.pieces !== '') this.#hasUnfit ||= !isJsonObject(tryParseJson(block.pieces));
      else if (Object.keys(block.input).length > 0) {
        choice.toolArguments(block.call, JSON.stringify(block.input));
      }
    }
    return true;
  }
}

/** What is not known ends an answer all the same. */
export function finishReason(reason: string, hasToolCalls: boolean): FinishReason {
  switch (reason) {
    case 'end_turn':
    case 'stop_sequence':
    // A turn of Anthropic's own tools that took long. Chat completions have no way to go on with it.
    case 'pause_turn':
      return 'stop';
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'refusal':
      return 'content_filter';
  }
  return hasToolCalls ? 'tool_calls' : 'stop';
}

function textIn(owner: JsonObject, name: string): string {
  const text = owner[name];
  return typeof text === 'string' ? text : '';
}

function tell(value: Json | undefined, to: (text: string) => void): Taken {
  if (typeof value !== 'string') return 'invalid';
  to(value);
  return 'ok';
}

/** Links to the web. What is cited from documents has no form in chat completions. */
function addLink(block: Extract<Block, { type: 'text' }>, citation: Json | undefined): void {
  if (!isJsonObject(citation) || citation['type'] !== 'web_search_result_location') return;
  const { url, title } = citation;
  if (typeof url !== 'string' || url === '') return;
  block.links.push({ url, title: typeof title === 'string' ? title : url });
}
