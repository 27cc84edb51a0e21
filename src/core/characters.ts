/** So many characters at a time: the texts of long bodies would take memory of their own each, which the kernel has to make room for. */
const AT_ONCE = 64 * 1024;

/** A text as far as it is searched for a character. */
export type Searched = Pick<Characters, 'indexOf'>;

/** Long bytes as a text with a character for each, which native searches are quickest in. */
export class Characters {
  readonly #bytes: Buffer;
  #text = '';
  /** Where the text begins in the bytes. */
  #from = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Where a character of ASCII is found next, beginning with `from`; -1: nowhere. */
  indexOf(character: string, from: number): number {
    const found = this.#text.indexOf(character, from - this.#from);
    return found >= 0 && from >= this.#from ? this.#from + found : this.#further(character, from);
  }

  #further(character: string, from: number): number {
    const { length } = this.#bytes;
    const end = this.#from + this.#text.length;
    // The rest of this text has been searched.
    let next = from >= this.#from && from < end ? end : from;
    while (next < length) {
      this.#from = next;
      this.#text = this.#bytes.toString('latin1', next, Math.min(next + AT_ONCE, length));
      const found = this.#text.indexOf(character);
      if (found >= 0) return next + found;
      next += AT_ONCE;
    }
    return -1;
  }
}
