import { isUtf8 } from 'node:buffer';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { type Piece, type Run, splice } from './json-splice.ts';

/** Where one member of the top-level object lies in the bytes. */
interface Span {
  /** Of the key's opening quote. */
  start: number;
  /** One past the key's closing quote. */
  keyEnd: number;
  /** Of the value's first byte. */
  valueStart: number;
  /** One past the value's last byte. */
  end: number;
}

/** What to do with a parameter: its new value, or null to take it out. */
export type Changes = ReadonlyMap<string, Json>;

/** Levels of arrays and objects within each other. Parsing goes deeper; printing again, and many an upstream, does not. */
const DEEPEST = 512;
/** Strings, arrays, objects and what stands between commas: each takes many times its own bytes in memory, and 30 MB of `[],` seconds. */
const MOST_VALUES = 500_000;
/** A string's first bytes are looked at one by one: a native search costs more to begin than most strings are long. */
const SHORT_STRING = 64;

const NOTHING = Buffer.from('{}');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * A JSON object as it came in: its bytes, and what they mean. Parsed once; a changed copy is spliced from the bytes, so
 * that 20 MB of images are not printed again because `model` differs.
 */
export class JsonBody {
  #bytes: Buffer;
  #value: JsonObject;
  #spans: readonly Span[];
  /** Of the members, as they stand. Read when they are first asked for. */
  #names: readonly string[] | null = null;
  /** Where names stand twice: the last place of each, which counts. */
  #last: ReadonlyMap<string, number> | null = null;

  private constructor(bytes: Buffer, value: JsonObject, spans: readonly Span[]) {
    this.#bytes = bytes;
    this.#value = value;
    this.#spans = spans;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  get value(): JsonObject {
    return this.#value;
  }

  /** All that was to be read of it has been: whoever still holds it, for as long as a stream lasts, holds nothing. It reads as `{}` from now on. */
  letGo(): void {
    this.#bytes = NOTHING;
    this.#value = {};
    this.#spans = [];
    this.#names = null;
    this.#last = null;
  }

  /** Throws SyntaxError for what is not JSON, TypeError for JSON that is not an object, RangeError for too much nesting or too many values. */
  static parse(bytes: Buffer): JsonBody {
    const body = withoutMark(bytes);
    const spans = lookedOver.get(bytes) ?? lookOver(bytes);
    lookedOver.delete(bytes);
    const value: unknown = JSON.parse(body.toString());
    if (!isJsonObject(value)) throw new TypeError('not a JSON object');
    return new JsonBody(body, Object.keys(value).some(hasBackslash) ? reread(body, spans) : value, spans);
  }

  /**
   * The body with some top-level members replaced, added or (null) taken out; all others byte for byte as they came. Of a name that
   * stands twice only the last is sent: readers differ in which of the two they take, and that one is what we understood.
   */
  with(changes: Changes): Buffer[] {
    const names = this.#readNames();
    if (changes.size === 0 && this.#last === null) return [this.bytes];
    const pieces: Piece[] = [];
    let run: Run | null = null;
    for (let index = 0; index < names.length; index++) {
      const { start, end } = this.#spans[index] as Span;
      const name = names[index] as string;
      const change = changes.get(name);
      const counts = this.#last === null || this.#last.get(name) === index;
      if (counts && change === undefined) {
        if (run !== null) run.end = end;
        else {
          run = { start, end };
          pieces.push(run);
        }
        continue;
      }
      run = null;
      if (counts && change != null) pieces.push(printMember(name, change));
    }
    for (const [name, value] of changes) {
      if (value !== null && !Object.hasOwn(this.value, name)) pieces.push(printMember(name, value));
    }
    return splice(this.bytes, pieces);
  }

  /** What a top-level member's value looks like as it came; null if there is none. */
  textOf(key: string): string | null {
    const span = this.#spans[this.#readNames().lastIndexOf(key)];
    return span === undefined ? null : this.bytes.toString('utf8', span.valueStart, span.end);
  }

  #readNames(): readonly string[] {
    if (this.#names !== null) return this.#names;
    const keys = Object.keys(this.value);
    const areAllOnce = keys.length === this.#spans.length;
    // What looks like a number comes first there, wherever it stands; all others in the order of the bytes.
    if (areAllOnce && !/^\d/.test(keys[0] ?? '')) this.#names = keys;
    else this.#names = this.#spans.map((span) => readKey(this.bytes, span));
    if (!areAllOnce) this.#last = new Map(this.#names.map((name, index) => [name, index]));
    return this.#names;
  }
}

/** What was found in bytes that `parse` has not been given yet. */
const lookedOver = new WeakMap<Buffer, readonly Span[]>();

/**
 * The half of `parse` that only looks at the bytes, for a body so large that each half is to have a turn of the event loop to itself: `parse` finds what
 * came of it. Throws what `parse` would.
 */
export function lookOverAhead(bytes: Buffer): void {
  lookedOver.set(bytes, lookOver(bytes));
}

function lookOver(bytes: Buffer): Span[] {
  if (!isUtf8(bytes)) throw new SyntaxError('its bytes are not UTF-8');
  return scan(withoutMark(bytes));
}

function withoutMark(bytes: Buffer): Buffer {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return isMarked ? bytes.subarray(3) : bytes;
}

function printMember(key: string, value: Json): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
}

function readKey(bytes: Buffer, { start, keyEnd }: Span): string {
  return JSON.parse(bytes.toString('utf8', start, keyEnd)) as string;
}

/**
 * V8 up to 13.6 at least may take a name with an escape for one with a backslash that it has met before, in any text: after `{"mod\\u":1}` it
 * reads `{"mod\u0065l":1}` as the same. A model could so be asked for upstream that we have not seen. Names by themselves it reads well.
 */
function reread(bytes: Buffer, spans: readonly Span[]): JsonObject {
  return Object.fromEntries(
    spans.map((span) => [
      readKey(bytes, span),
      JSON.parse(bytes.toString('utf8', span.valueStart, span.end)) as Json,
    ]),
  );
}

function hasBackslash(key: string): boolean {
  return key.includes('\\');
}

function skipSpace(bytes: Buffer, start: number): number {
  let at = start;
  while (isSpace(bytes[at])) at++;
  return at;
}

/**
 * Finds the members of the top-level object. Throws a RangeError for a body that would cost far more to parse than its length says.
 * Only brackets, colons, commas and quotes matter, and the inside of a long string is skipped by a native search, which makes base64
 * images nearly free. What is not JSON is left to the parser to find: then the spans mean nothing.
 */
function scan(bytes: Buffer): Span[] {
  const spans: Span[] = [];
  let member: Span | null = null;
  let depth = 0;
  let values = 0;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        values++;
        const end = endOfString(bytes, at);
        if (end < 0) return spans;
        if (depth === 1 && member === null) {
          member = { start: at, keyEnd: end, valueStart: -1, end: -1 };
          spans.push(member);
        }
        at = end - 1;
        break;
      }
      case COLON:
        if (depth === 1 && member !== null) member.valueStart = skipSpace(bytes, at + 1);
        break;
      case 0x7b:
      case 0x5b:
        values++;
        if (++depth > DEEPEST) throw new RangeError(`it is nested deeper than ${DEEPEST} levels`);
        break;
      case 0x7d:
      case 0x5d:
        if (--depth === 0 && member !== null) {
          member.end = endWithoutSpace(bytes, at);
          member = null;
        }
        break;
      case COMMA:
        values++;
        if (depth === 1 && member !== null) {
          member.end = endWithoutSpace(bytes, at);
          member = null;
        }
    }
    if (values > MOST_VALUES) throw new RangeError(`it holds more than ${MOST_VALUES} values`);
  }
  return spans;
}

/** From an opening quote to one past the closing one; -1 if there is none. */
export function endOfString(bytes: Buffer, at: number): number {
  let from = at + 1;
  for (;;) {
    const near = Math.min(from + SHORT_STRING, bytes.length);
    while (from < near) {
      const byte = bytes[from];
      if (byte === QUOTE) return from + 1;
      from += byte === BACKSLASH ? 2 : 1;
    }
    const quote = bytes.indexOf(QUOTE, from);
    if (quote < 0) return -1;
    let backslashes = 0;
    while (quote - backslashes > from && bytes[quote - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}

function endWithoutSpace(bytes: Buffer, end: number): number {
  let at = end;
  while (isSpace(bytes[at - 1])) at--;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
