import type { ChoiceWriter } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { PartialArgs } from './partial-args.ts';
import { printed } from './printed.ts';

/** Tells a choice the calls of functions, which mostly come whole, and in pieces where Vertex was asked for that. */
export class CallReader {
  readonly #choice: ChoiceWriter;
  /** The call whose pieces still come. */
  #open: { index: number; args: PartialArgs } | null = null;

  constructor(choice: ChoiceWriter) {
    this.#choice = choice;
  }

  /** A `functionCall`. `signature`: what stands beside it. Returns why it cannot be one, for people; null if all is well. */
  read(call: JsonObject, signature: string | null): string | null {
    const { name, id } = call;
    // A call without any arguments may leave them out.
    const args = call['args'] == null || call['args'] === '' ? {} : call['args'];
    if (!isJsonObject(args)) return 'the arguments of a tool call are no object';
    if (typeof name === 'string' && name !== '') {
      this.close();
      const index = this.#choice.toolCall({
        id: typeof id === 'string' ? id : null,
        name,
        ...(signature === null ? {} : { thoughtSignature: signature }),
      });
      if (call['partialArgs'] == null && call['willContinue'] !== true) return this.#whole(index, args);
      this.#open = { index, args: new PartialArgs() };
    } else if (this.#open === null) {
      // The end mark of a call whose end was known already.
      return Object.keys(call).length === 0 ? null : 'a tool call came without a name';
    } else if (signature !== null) this.#choice.thoughtSignature(signature);
    return this.#more(args, call['partialArgs']);
  }

  /** No more pieces come: tells the arguments of the call under way. */
  close(): void {
    if (this.#open === null) return;
    const { index, args } = this.#open;
    this.#open = null;
    this.#choice.toolArguments(index, args.text);
  }

  #whole(index: number, args: JsonObject): string | null {
    const text = printed(args);
    if (text === null) return 'the arguments of a tool call are nested too deeply';
    this.#choice.toolArguments(index, text);
    return null;
  }

  /** The next pieces of the call under way. It is open until another begins or the answer ends: not every end is marked. */
  #more(args: JsonObject, partialArgs: Json | undefined): string | null {
    const { args: known } = this.#open as { args: PartialArgs };
    const pieces = Array.isArray(partialArgs) ? partialArgs : partialArgs == null ? [] : null;
    const isSound = pieces !== null && known.addAll(args) && pieces.every((piece) => known.add(piece));
    return isSound ? null : 'a piece of the arguments of a tool call makes no sense';
  }
}
