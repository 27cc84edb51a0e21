import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { tokensFrom } from './shifted.ts';

/** Of what is kept, as JSON. UTF-16 units: text that is held back for longer is an echo in all likelihood, and then nothing of this is told. */
const MOST_HELD = 256 * 1024;

/** How likely the tokens of a text were, where not all of it is told, or later than it came. */
export class HeldTokens {
  #held: Json[] = [];
  #size = 0;

  /** Its text is held back. */
  hold(logprobs: Json | undefined): void {
    for (const token of tokensIn(logprobs)) {
      this.#size += JSON.stringify(token).length;
      if (this.#size > MOST_HELD) this.#held = [];
      else this.#held.push(token);
    }
  }

  /** Of what is told of the piece that came with `logprobs`, and of those that were held back before it. Null: of nothing. */
  release(logprobs: Json | undefined, told: Json | undefined): JsonObject | null {
    if (this.#held.length === 0) return tokensFrom(logprobs, told);
    const others = isJsonObject(logprobs) ? logprobs : { refusal: null };
    const content = [...this.#held, ...tokensIn(logprobs)];
    this.#held = [];
    return tokensFrom({ ...others, content }, told);
  }
}

function tokensIn(logprobs: Json | undefined): readonly Json[] {
  const tokens = isJsonObject(logprobs) ? logprobs['content'] : null;
  return Array.isArray(tokens) ? tokens : [];
}
