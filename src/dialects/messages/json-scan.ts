/** How far a JSON object that comes in pieces has come. */
export type Progress = 'blank' | 'open' | 'whole' | 'foreign' | 'beyond';

/**
 * Follows the text of a JSON object, piece by piece, each character once. `blank`: nothing but space yet; `open`: begun; `whole`: its last brace has come;
 * `foreign`: it is no object from its first character; `beyond`: there is more after the last brace. What is within is not checked.
 */
export class JsonScan {
  progress: Progress = 'blank';
  #depth = 0;
  #inText = false;
  #escaped = false;

  add(piece: string): void {
    for (let at = 0; at < piece.length; at++) {
      if (this.progress === 'foreign' || this.progress === 'beyond') return;
      if (this.progress === 'open') this.#inside(piece.charCodeAt(at));
      else if (!isSpace(piece.charCodeAt(at))) this.#outside(piece.charCodeAt(at));
    }
  }

  #outside(code: number): void {
    if (this.progress === 'whole') this.progress = 'beyond';
    else if (code !== OPEN) this.progress = 'foreign';
    else {
      this.progress = 'open';
      this.#depth = 1;
    }
  }

  #inside(code: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#inText) {
      if (code === BACKSLASH) this.#escaped = true;
      else if (code === QUOTE) this.#inText = false;
    } else if (code === QUOTE) this.#inText = true;
    else if (code === OPEN || code === OPEN_LIST) this.#depth++;
    else if ((code === CLOSE || code === CLOSE_LIST) && --this.#depth === 0) this.progress = 'whole';
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
