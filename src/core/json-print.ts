import type { Json, JsonObject } from './json.ts';

/** So much is printed in one step: one or two milliseconds' worth of text, ten of small objects. Characters. */
const STEP = 512 * 1024;

/** A text longer than this is printed piece by piece, each within its step. Characters. */
const LONG = 64 * 1024;

/** An array or object that is being printed. */
interface Level {
  readonly names: readonly string[] | null;
  readonly values: readonly (Json | undefined)[];
  /** The value that is next. */
  at: number;
  /** Nothing of it stands there yet. */
  isEmpty: boolean;
}

/** Text that is made in steps, between which others may have their turn. */
export interface Steps {
  /** Gets longer with each step. */
  readonly parts: Buffer[];
  /** False: that was all. */
  step(): boolean;
}

/** Prints a value as `JSON.stringify` does, in steps. */
export class Printing implements Steps {
  readonly parts: Buffer[] = [];
  readonly #levels: Level[] = [];
  /** Of this step. */
  #text = '';
  /** A long text, and how far it has been printed. */
  #long = '';
  #at = 0;
  #unused: Json | undefined;

  constructor(value: Json) {
    this.#unused = value;
  }

  step(): boolean {
    this.#text = '';
    if (this.#unused !== undefined) {
      this.#print(this.#unused);
      this.#unused = undefined;
    }
    while (this.#text.length < STEP && (this.#printLong() || this.#printNext()));
    this.parts.push(Buffer.from(this.#text));
    return this.#levels.length > 0 || this.#long !== '';
  }

  #print(value: Json): void {
    if (typeof value === 'string' && value.length > LONG) {
      this.#long = value;
      this.#at = 0;
      this.#text += '"';
    } else if (typeof value === 'object' && value !== null) this.#open(value);
    else this.#text += JSON.stringify(value);
  }

  #open(value: Json[] | JsonObject): void {
    const isArray = Array.isArray(value);
    this.#text += isArray ? '[' : '{';
    const names = isArray ? null : Object.keys(value);
    this.#levels.push({ names, values: isArray ? value : Object.values(value), at: 0, isEmpty: true });
  }

  /** The next value of the innermost array or object, or its end. False: all is printed. */
  #printNext(): boolean {
    const level = this.#levels.at(-1);
    if (level === undefined) return false;
    const { names, values, at } = level;
    if (at === values.length) {
      this.#text += names === null ? ']' : '}';
      this.#levels.pop();
      return true;
    }
    level.at++;
    const value = values[at];
    if (names !== null && value === undefined) return true;
    if (!level.isEmpty) this.#text += ',';
    level.isEmpty = false;
    if (names !== null) this.#text += `${JSON.stringify(names[at])}:`;
    this.#print(value ?? null);
    return true;
  }

  /** The next piece of the long text that is being printed, if there is one. */
  #printLong(): boolean {
    const text = this.#long;
    if (text === '') return false;
    let end = Math.min(this.#at + LONG, text.length);
    // Not between the two halves of a character.
    if (end < text.length && isHighHalf(text.charCodeAt(end - 1))) end--;
    this.#text += JSON.stringify(text.slice(this.#at, end)).slice(1, -1);
    this.#at = end;
    if (end === text.length) {
      this.#long = '';
      this.#text += '"';
    }
    return true;
  }
}

function isHighHalf(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
