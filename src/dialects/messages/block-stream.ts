import type { ThinkingBlock } from '../../chat/extensions.ts';
import { presentThinking } from '../../chat/signed-thinking.ts';
import type { JsonObject } from '../../core/json.ts';
import { textIn, toolInput } from './answer-parts.ts';
import { JsonScan } from './json-scan.ts';

/** A tool call of the stream. */
export interface Call {
  readonly id: string;
  /** '' until it comes. */
  name: string;
  readonly scan: JsonScan;
  /** Of its arguments, what has not been passed on. */
  held: string;
  /** Some of its arguments have been passed on. */
  begun: boolean;
  closed: boolean;
}

/** `text`: of one that waits, what is to be told; of a thought also what has been. `block`: the thought as it was signed. */
type Block =
  | { kind: 'text'; text: string; citations: JsonObject[] }
  | { kind: 'thinking'; text: string; block: ThinkingBlock | null }
  | { kind: 'tool'; call: Call };

/**
 * Puts the pieces of an answer, which may come in any order, into blocks that follow each other: Anthropic's clients take one block after the other. A
 * call's arguments pass on as they come, as long as no other block has begun; a block that comes in between waits for the end of the arguments.
 */
export class BlockStream {
  readonly #emit: (event: JsonObject) => void;
  readonly #waiting: Block[] = [];
  #open: Block | null = null;
  #index = -1;
  /** Pieces of a call came after its block was closed: nothing can be told of them any more. */
  damaged = false;
  /** Any block that is not thinking has begun. */
  hasContent = false;
  hasCalls = false;

  constructor(emit: (event: JsonObject) => void) {
    this.#emit = emit;
  }

  text(fragment: string): void {
    const last = this.#last;
    if (last?.kind === 'text') {
      if (last === this.#open) this.#delta({ type: 'text_delta', text: fragment });
      else last.text += fragment;
      return;
    }
    this.#add({ kind: 'text', text: fragment, citations: [] });
  }

  /** Belongs to the text that was told last; without one there is nothing to cite. */
  citation(citation: JsonObject): void {
    const last = this.#last;
    if (last?.kind !== 'text') return;
    if (last === this.#open) this.#delta({ type: 'citations_delta', citation });
    else last.citations.push(citation);
  }

  thinking(fragment: string): void {
    const last = this.#last;
    if (last?.kind === 'thinking' && last.block === null) {
      last.text += fragment;
      if (last === this.#open) this.#delta({ type: 'thinking_delta', thinking: fragment });
      return;
    }
    this.#add({ kind: 'thinking', text: fragment, block: null });
  }

  /** The thought that is being told, as it was signed; or one of which nothing was told. */
  signed(block: ThinkingBlock): void {
    const last = this.#last;
    const isTold = last?.kind === 'thinking' && last.block === null;
    if (isTold && block.type === 'thinking') last.block = block;
    else this.#add({ kind: 'thinking', text: '', block });
  }

  /** What has been told of the thought whose block is open; null if there is none, or it is signed. */
  get openThought(): string | null {
    const last = this.#last;
    return last?.kind === 'thinking' && last.block === null ? last.text : null;
  }

  newCall(id: string): Call {
    return { id, name: '', scan: new JsonScan(), held: '', begun: false, closed: false };
  }

  /** The next piece of a call's arguments, or '' to begin it. */
  toolArguments(call: Call, fragment: string): void {
    if (call.closed) {
      call.scan.add(fragment);
      if (call.scan.progress === 'beyond') this.damaged = true;
      return;
    }
    call.scan.add(fragment);
    call.held += fragment;
    if (call.scan.progress === 'beyond') this.damaged = true;
    const open = this.#open;
    if (open?.kind === 'tool' && open.call === call) this.#passOn(call);
    else if (!this.#waiting.some((block) => block.kind === 'tool' && block.call === call)) {
      this.#add({ kind: 'tool', call });
      return;
    }
    this.#settle(false);
  }

  /** All has come. */
  finish(): void {
    this.#settle(true);
    if (this.#open !== null) this.#close();
  }

  get #last(): Block | null {
    return this.#waiting.at(-1) ?? this.#open;
  }

  #add(block: Block): void {
    if (block.kind !== 'thinking') this.hasContent = true;
    if (block.kind === 'tool') this.hasCalls = true;
    this.#waiting.push(block);
    this.#settle(false);
  }

  /** Begins what waits, as far as what is open may be closed. `all`: nothing more comes. */
  #settle(all: boolean): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      if (!all && !(this.#mayClose() && mayBegin(next))) return;
      this.#waiting.shift();
      if (this.#open !== null) this.#close();
      this.#begin(next);
    }
  }

  #mayClose(): boolean {
    const open = this.#open;
    return open?.kind !== 'tool' || open.call.scan.progress === 'whole';
  }

  #begin(block: Block): void {
    this.#open = block;
    this.#index++;
    const start = (content: JsonObject) =>
      this.#emit({ type: 'content_block_start', index: this.#index, content_block: content });
    if (block.kind === 'text') {
      start({ type: 'text', text: '' });
      this.#delta({ type: 'text_delta', text: block.text });
      for (const citation of block.citations) this.#delta({ type: 'citations_delta', citation });
    } else if (block.kind === 'tool') {
      const { id, name } = block.call;
      start({ type: 'tool_use', id, name, input: {}, caller: { type: 'direct' } });
      this.#passOn(block.call);
    } else if (block.block?.type === 'redacted_thinking') start(presentThinking(block.block));
    else {
      start({ type: 'thinking', thinking: '', signature: '' });
      const text = block.text === '' ? textIn(block.block?.thinking) : block.text;
      if (text !== '') this.#delta({ type: 'thinking_delta', thinking: text });
    }
  }

  #close(): void {
    const open = this.#open;
    if (open === null) return;
    if (open.kind === 'thinking' && open.block?.type === 'thinking') {
      const { signature } = presentThinking(open.block);
      this.#delta({ type: 'signature_delta', signature: textIn(signature) });
    }
    if (open.kind === 'tool') this.#endCall(open.call);
    this.#emit({ type: 'content_block_stop', index: this.#index });
    this.#open = null;
  }

  /** Only what is an object's beginning: the rest can be made into an object as long as none of it was told. */
  #passOn(call: Call): void {
    const { progress } = call.scan;
    if (call.held === '' || progress === 'blank' || progress === 'foreign') return;
    this.#arguments(call, call.held);
    call.held = '';
  }

  #endCall(call: Call): void {
    call.closed = true;
    if (!call.begun) this.#arguments(call, JSON.stringify(toolInput(call.held)));
    call.held = '';
  }

  #arguments(call: Call, json: string): void {
    call.begun = true;
    this.#delta({ type: 'input_json_delta', partial_json: json });
  }

  #delta(delta: JsonObject): void {
    this.#emit({ type: 'content_block_delta', index: this.#index, delta });
  }
}

/** A call's block says its name at once. */
function mayBegin(block: Block): boolean {
  return block.kind !== 'tool' || block.call.name !== '';
}
