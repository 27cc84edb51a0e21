import { isUtf8 } from 'node:buffer';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { characterEach, findMembers, type Span } from './json-members.ts';
import { Splice } from './json-splice.ts';

/** What to do with a parameter: its new value, or null to take it out. */
export type Changes = ReadonlyMap<string, Json>;

const NOTHING = Buffer.from('{}');

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
    const { body, text, spans } = lookedOver.get(bytes) ?? lookOver(bytes);
    lookedOver.delete(bytes);
    const value: unknown = JSON.parse(text);
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
    const splice = new Splice(this.bytes);
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as string;
      const change = changes.get(name);
      const counts = this.#last === null || this.#last.get(name) === index;
      const { start, end } = this.#spans[index] as Span;
      if (!counts || change === null) splice.leaveOut();
      else if (change === undefined) splice.keep(start, end);
      else splice.print(name, change);
    }
    for (const [name, value] of changes) {
      if (value !== null && !Object.hasOwn(this.value, name)) splice.print(name, value);
    }
    return splice.end();
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

/** What is found out before a body is parsed. */
interface LookedOver {
  /** Without a byte order mark. */
  body: Buffer;
  /** What `body` is in UTF-8. */
  text: string;
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
  const text = body.toString();
  return { body, text, spans: findMembers(body, characterEach(body, text)) };
}

function withoutMark(bytes: Buffer): Buffer {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return isMarked ? bytes.subarray(3) : bytes;
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
