/** Where what one model wrote ends and what another one writes begins: takes the other one's text, and gives what the client has not been told. */
export interface Junction {
  /** What was told is behind it: all that comes now is new. */
  readonly passed: boolean;
  /** UTF-16 units that were left out so far. */
  readonly dropped: number;
  /** UTF-16 units that came and may yet be told. */
  readonly held: number;
  /** Of the next piece what is new; null: it is another answer than the one that was begun. */
  take(fragment: string): string | null;
  /** No more text comes: what was held back; null as above. */
  end(): string | null;
}

/** The whole answer comes again: what was told is left out, letter by letter. */
export class SameAgain implements Junction {
  readonly held = 0;
  readonly #told: string;
  #at = 0;

  constructor(told: string) {
    this.#told = told;
  }

  get passed(): boolean {
    return this.#at === this.#told.length;
  }

  get dropped(): number {
    return this.#at;
  }

  take(fragment: string): string | null {
    const left = this.#told.length - this.#at;
    if (left === 0) return fragment;
    const same = Math.min(left, fragment.length);
    if (!this.#told.startsWith(fragment.slice(0, same), this.#at)) return null;
    this.#at += same;
    return fragment.slice(same);
  }

  /** An answer that ends sooner is another one. */
  end(): string | null {
    return this.passed ? '' : null;
  }
}

/** A host that gives back what it was to go on with repeats at least this much; shorter, it may be what the model wrote. UTF-16 units. */
const SHORTEST_ECHO = 24;

/**
 * Only what follows comes, since the model was given what was told. Left out is what was told where a host gives that back all the same, and the white space
 * at its end, which some models are not given and write again.
 */
export class AfterPrefill implements Junction {
  readonly #told: string;
  /** Where the white space at its end begins. */
  readonly #trimmed: number;
  /** The host repeated what it was given. */
  #isEcho = false;
  /** In what may be an echo: so much of it has come. */
  #echoed = 0;
  /** In the white space: so much of it has come again. */
  #blank = 0;
  #state: 'echo' | 'blank' | 'passed';

  constructor(told: string, knownToEcho = false) {
    this.#told = told;
    this.#trimmed = told.trimEnd().length;
    const isLong = this.#trimmed >= SHORTEST_ECHO;
    this.#state = this.#trimmed > 0 && (isLong || knownToEcho) ? 'echo' : 'blank';
  }

  get passed(): boolean {
    return this.#state === 'passed';
  }

  get dropped(): number {
    return (this.#isEcho ? this.#trimmed : 0) + this.#blank;
  }

  get held(): number {
    return this.#state === 'echo' ? this.#echoed : 0;
  }

  take(fragment: string): string {
    let text = fragment;
    if (this.#state === 'echo') {
      const same = Math.min(this.#trimmed - this.#echoed, text.length);
      if (this.#told.startsWith(text.slice(0, same), this.#echoed)) {
        this.#echoed += same;
        if (this.#echoed < this.#trimmed) return '';
        this.#isEcho = true;
        text = text.slice(same);
      } else {
        // It only looked like one.
        text = this.#told.slice(0, this.#echoed) + text;
      }
      this.#state = 'blank';
    }
    if (this.#state !== 'blank') return text;
    let at = 0;
    while (at < text.length && text[at] === this.#told[this.#trimmed + this.#blank]) {
      at++;
      this.#blank++;
    }
    if (at < text.length || this.#trimmed + this.#blank === this.#told.length) this.#state = 'passed';
    return text.slice(at);
  }

  end(): string {
    const held = this.#state === 'echo' ? this.#told.slice(0, this.#echoed) : '';
    this.#state = 'passed';
    return held;
  }
}
