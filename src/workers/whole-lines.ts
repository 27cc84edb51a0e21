/** Lines that come in pieces, handed on whole. What comes last without a line end is no line: whoever wrote it was stopped in the middle. */
export class WholeLines {
  readonly #write: (lines: string) => void;
  /** The beginning of a line whose end has not come. As long as the longest line that is written. */
  #begun: string[] = [];

  constructor(write: (lines: string) => void) {
    this.#write = write;
  }

  take(text: string): void {
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) {
      this.#write(this.#begun.join('') + text.slice(0, end));
      this.#begun = [];
    }
    if (end < text.length) this.#begun.push(end === 0 ? text : text.slice(end));
  }
}
