import { isUtf8 } from 'node:buffer';
import { Characters } from './characters.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { checkDepth, findMembers, readKey, type Span } from './json-members.ts';
import { parseLong } from './json-pieces.ts';
import type { Steps } from './json-print.ts';
import { Splice } from './json-splice.ts';
import { isLarge } from './turns.ts';

/** What to do with a parameter: its new value, or null to take it out. */
export type Changes = ReadonlyMap<string, Json>;

/** A text beyond this does not lie among V8's young objects. Bytes. */
const LONG = 120 * 1024;

const NOTHING = Buffer.from('{}');
const NO_VALUE: JsonObject = {};
const NO_SPANS: readonly Span[] = [];
const NO_NAMES: readonly string[] = [];

/**
 * A JSON object: its bytes as they came in, and what they mean. Parsed once; a changed copy is spliced from the bytes, so that 20 MB of images
 * are not printed again because `model` differs. What a translation made has no bytes, and is printed when it is sent.
 */
export class JsonBody {
  #bytes: Buffer;
  #value: JsonObject;
  /** Of each member, where it lies in the bytes; undefined: it is to be printed. */
  #spans: readonly (Span | undefined)[];
  /** Of the members, as they stand. Read when they are first asked for. */
  #names: readonly string[] | null;
  /** Where names stand twice: the last place of each, which counts. */
  #last: ReadonlyMap<string, number> | null = null;
  /** Of `#names`, those that were taken out. */
  #out = NO_NAMES;
  /** What is done with it takes so long that others are to have their turn meanwhile. */
  readonly isLarge: boolean;

  private constructor(
    bytes: Buffer,
    value: JsonObject,
    spans: readonly (Span | undefined)[],
    names: readonly string[] | null,
    large: boolean,
  ) {
    this.#bytes = bytes;
    this.#value = value;
    this.#spans = spans;
    this.#names = names;
    this.isLarge = large;
  }

  /** As it came in; nothing of what was changed since. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  get value(): JsonObject {
    return this.#value;
  }

  /** All that was to be read of it has been: whoever still holds it, for as long as a stream lasts, holds nothing. It reads as `{}` from now on. */
  letGo(): void {
    this.#bytes = NOTHING;
    this.#value = NO_VALUE;
    this.#spans = NO_SPANS;
    this.#names = null;
    this.#last = null;
    this.#out = NO_NAMES;
  }

  /** Throws SyntaxError for what is not JSON, TypeError for JSON that is not an object, RangeError for too much nesting or too many values. */
  static parse(bytes: Buffer): JsonBody {
    const { body, text, spans } = lookedOver.get(bytes) ?? lookOver(bytes);
    lookedOver.delete(bytes);
    const value: unknown = text === null ? parseLong(body, spans) : JSON.parse(text);
    if (!isJsonObject(value)) throw new TypeError('not a JSON object');
    const read = Object.keys(value).some(hasBackslash) ? reread(body, spans) : value;
    return new JsonBody(body, read, spans, null, isLarge(body));
  }

  /** What was made of a request, which may be large. Throws a RangeError for too much nesting. */
  static of(value: JsonObject, large = false): JsonBody {
    checkDepth(value);
    return new JsonBody(NOTHING, value, NO_SPANS, Object.keys(value), large);
  }

  /** The same with some top-level members changed, as by `with`. `large`: it may have become so by that. */
  changed(changes: Changes, large = this.isLarge): JsonBody {
    const names = [...this.#readNames()];
    const spans = names.map((name, index) => (changes.get(name) == null ? this.#spans[index] : undefined));
    const value: JsonObject = { ...this.#value, ...Object.fromEntries(changes) };
    const out = new Set(this.#out);
    for (const [name, change] of changes) {
      const isNew = this.#isNew(name);
      if (change === null) {
        delete value[name];
        if (!isNew) out.add(name);
      } else if (isNew) names.push(name);
      else out.delete(name);
    }
    const body = new JsonBody(this.#bytes, value, spans, names, large);
    body.#last = this.#last;
    body.#out = [...out];
    return body;
  }

  /**
   * The body with some top-level members replaced, added or (null) taken out; all others byte for byte as they came. Of a name that
   * stands twice only the last is sent: readers differ in which of the two they take, and that one is what we understood.
   */
  with(changes: Changes): Buffer[] {
    const names = this.#readNames();
    if (changes.size === 0 && this.#last === null && this.#isAsItCame()) return [this.#bytes];
    const splice = new Splice(this.#bytes);
    this.#splice(names, changes, splice);
    return splice.end();
  }

  /** The same of a large body, where what is printed is printed in steps. */
  inSteps(changes: Changes): Steps {
    const splice = new Splice(this.#bytes, true);
    this.#splice(this.#readNames(), changes, splice);
    return splice.steps();
  }

  #splice(names: readonly string[], changes: Changes, splice: Splice): void {
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as string;
      const change = changes.get(name);
      const span = this.#spans[index];
      const counts = this.#last === null || (this.#last.get(name) ?? index) === index;
      if (!counts || change === null || (change === undefined && this.#out.includes(name))) splice.leaveOut();
      else if (change !== undefined) splice.print(name, change);
      else if (span !== undefined) splice.keep(span.start, span.end);
      else splice.print(name, this.#value[name]);
    }
    for (const [name, value] of changes) {
      if (value !== null && this.#isNew(name)) splice.print(name, value);
    }
  }

  /** What a top-level member's value looks like as it came; null if there is none. */
  textOf(key: string): string | null {
    const index = this.#readNames().lastIndexOf(key);
    if (index < 0 || this.#out.includes(key)) return null;
    const span = this.#spans[index];
    if (span === undefined) return JSON.stringify(this.#value[key]) ?? null;
    return this.#bytes.toString('utf8', span.valueStart, span.end);
  }

  #isNew(name: string): boolean {
    return !Object.hasOwn(this.#value, name) && !this.#out.includes(name);
  }

  #isAsItCame(): boolean {
    const isAllThere = this.#spans.length === this.#readNames().length && !this.#spans.includes(undefined);
    return isAllThere && this.#out.length === 0;
  }

  #readNames(): readonly string[] {
    if (this.#names !== null) return this.#names;
    const keys = Object.keys(this.#value);
    const spans = this.#spans as readonly Span[];
    const areAllOnce = keys.length === spans.length;
    // What looks like a number comes first there, wherever it stands; all others in the order of the bytes.
    if (areAllOnce && !/^\d/.test(keys[0] ?? '')) this.#names = keys;
    else this.#names = spans.map((span) => readKey(this.#bytes, span));
    if (!areAllOnce) this.#last = new Map(this.#names.map((name, index) => [name, index]));
    return this.#names;
  }
}

/** What is found out before a body is parsed. */
interface LookedOver {
  /** Without a byte order mark. */
  body: Buffer;
  /** What `body` is in UTF-8; null where it is long. */
  text: string | null;
  spans: readonly Span[];
}

/** What was found in bytes that `parse` has not been given yet. */
const lookedOver = new WeakMap<Buffer, LookedOver>();

/**
 * The half of `parse` that only looks at the bytes, for a body so large that each half is to have a turn of the event loop to itself: `parse` finds what
 * came of it. Throws what `parse` would.
 */
export function lookOverAhead(bytes: Buffer): void {
  lookedOver.set(bytes, lookOver(bytes));
}

function lookOver(bytes: Buffer): LookedOver {
  if (!isUtf8(bytes)) throw new SyntaxError('its bytes are not UTF-8');
  const body = withoutMark(bytes);
  const text = body.length > LONG ? null : body.toString();
  // As long as the bytes, it has a character of ASCII for each of them.
  const searched = text?.length === body.length ? text : new Characters(body);
  return { body, text, spans: findMembers(body, searched) };
}

function withoutMark(bytes: Buffer): Buffer {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return isMarked ? bytes.subarray(3) : bytes;
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
