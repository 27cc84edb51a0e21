import { MINTED_ID } from '../../chat/completion-parts.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { CallItem, type Emit, MessageItem, type OutputItem, ReasoningItem } from './output-items.ts';
import { type CallPiece, type Pieces, piecesOf } from './pieces.ts';

/**
 * Makes the items of one answer from the deltas of a chat completion, and tells each step. A whole answer is one delta, so both agree. Items stay
 * open until the end: calls may come in turns, and what a thought must be handed back with is known last.
 */
export class OutputWriter {
  readonly #id: string;
  readonly #emit: Emit;
  readonly #items: OutputItem[] = [];
  readonly #calls: CallItem[] = [];
  /** By the index that chat gives it; of several with the same, the last. */
  readonly #callsByIndex = new Map<number, CallItem>();
  readonly #callIds = new Set<string>();
  #reasoning: ReasoningItem | null = null;
  #message: MessageItem | null = null;

  /** `id`: never used before, without a prefix. */
  constructor(id: string, emit: Emit) {
    this.#id = id;
    this.#emit = emit;
  }

  /** `logprobs`: the choice's, beside its delta. */
  delta(delta: JsonObject, logprobs: Json | undefined): void {
    const pieces = piecesOf(delta, logprobs);
    if (bringsThought(pieces)) this.#think(pieces);
    const { text, refusal, tokens, annotations, calls } = pieces;
    if (text !== '' || refusal !== '' || tokens.length > 0 || annotations.length > 0) {
      this.#reasoning?.pause();
      const message = this.#openMessage();
      if (text !== '' || tokens.length > 0) message.text(text, tokens);
      if (refusal !== '') message.refusal(refusal);
      for (const annotation of annotations) message.annotation(annotation);
    }
    for (const call of calls) this.#call(call);
  }

  /** All has come. `whole`: it did not end for want of tokens, or because it was cut off by a filter. */
  end(whole: boolean): void {
    if (this.#items.length === 0 && this.#calls.length === 0) this.#openMessage().text('', []);
    for (const call of this.#calls) this.#openCall(call);
    const last = this.#items.length - 1;
    for (const [index, item] of this.#items.entries()) item.close(whole || index < last);
  }

  /** The items as they are now. */
  items(): JsonObject[] {
    return this.#items.map((item) => item.value());
  }

  /** What belongs to calls is kept with them, below. */
  #think({ reasoning, blocks, textSignature }: Pieces): void {
    if (this.#reasoning === null) {
      this.#reasoning = new ReasoningItem(this.#items.length, `rs_${this.#id}`, this.#emit);
      this.#items.push(this.#reasoning);
    }
    if (reasoning !== '') this.#reasoning.text(reasoning);
    this.#reasoning.blocks.push(...blocks);
    if (textSignature !== null) this.#reasoning.textSignature = textSignature;
  }

  #openMessage(): MessageItem {
    if (this.#message === null) {
      this.#message = new MessageItem(this.#items.length, `msg_${this.#id}`, this.#emit);
      this.#items.push(this.#message);
    }
    return this.#message;
  }

  #call(piece: CallPiece): void {
    this.#reasoning?.pause();
    const call = this.#callOf(piece);
    if (call.name === '') call.name = piece.name;
    if (call.name !== '') this.#openCall(call);
    call.arguments(piece.args);
    if (piece.signature !== null) this.#reasoning?.callSignatures.set(call.callId, piece.signature);
  }

  /** The call that a piece belongs to: the last that had its index, unless it brings another id, since some hosts number all of their calls 0. */
  #callOf({ index, id, name }: CallPiece): CallItem {
    const known = index === null ? this.#calls.at(-1) : this.#callsByIndex.get(index);
    if (known !== undefined) {
      // With neither index nor id, another name is all that tells that another call begins.
      const isNew = index === null && id === '' && name !== '' && known.name !== '';
      if (!isNew && (id === '' || known.givenId === '' || id === known.givenId)) return known;
    }
    const call = new CallItem(id, this.#newCallId(id), `fc_${this.#id}_${this.#calls.length}`, this.#emit);
    this.#calls.push(call);
    if (index !== null) this.#callsByIndex.set(index, call);
    return call;
  }

  /** The host's, unless it gave none, or the same twice: results are told apart by it. */
  #newCallId(given: string): string {
    const isFree = given !== '' && !this.#callIds.has(given);
    const id = isFree ? given : `${MINTED_ID}${this.#id.replaceAll('-', '')}_${this.#calls.length}`;
    this.#callIds.add(id);
    return id;
  }

  #openCall(call: CallItem): void {
    if (call.isOpen) return;
    call.open(this.#items.length);
    this.#items.push(call);
  }
}

/** Also of what only must be handed back: the item that carries it comes before what it belongs to, where that is known in time. */
function bringsThought({ reasoning, blocks, textSignature, calls }: Pieces): boolean {
  return (
    reasoning !== '' ||
    blocks.length > 0 ||
    textSignature !== null ||
    calls.some(({ signature }) => signature !== null)
  );
}
