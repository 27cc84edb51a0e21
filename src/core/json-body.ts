import { isUtf8 } from 'node:buffer';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

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

interface Member {
  key: string;
  start: number;
  valueStart: number;
  end: number;
  /** The same name stands again further on, and that one counts. */
  superseded: boolean;
}

/** What to do with a parameter: its new value, or null to take it out. */
export type Changes = ReadonlyMap<string, Json>;

/** Bodies up to this size are sent as one piece; a larger one goes out in slices of what came in, without a copy. Bytes. */
const COPY_UP_TO = 64 * 1024;

/** Levels of arrays and objects within each other. Parsing goes deeper; printing again, and many an upstream, does not. */
const DEEPEST = 512;
/** Strings, arrays, objects and what stands between commas: each takes many times its own bytes in memory, and 30 MB of `[],` seconds. */
const MOST_VALUES = 500_000;
/** A string's first bytes are looked at one by one: a native search costs more to begin than most strings are long. */
const SHORT_STRING = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * A JSON object as it came in: its bytes, and what they mean. Parsed once; a changed copy is spliced from the bytes, so
 * that 20 MB of images are not printed again because `model` differs.
 */
export class JsonBody {
  readonly bytes: Buffer;
  readonly value: JsonObject;
  readonly #spans: readonly Span[];
  #members: Member[] | null = null;

  private constructor(bytes: Buffer, value: JsonObject, spans: readonly Span[]) {
    this.bytes = bytes;
    this.value = value;
    this.#spans = spans;
  }

  /** Throws SyntaxError for what is not JSON, TypeError for JSON that is not an object, RangeError for too much nesting or too many values. */
  static parse(bytes: Buffer): JsonBody {
    if (!isUtf8(bytes)) throw new SyntaxError('its bytes are not UTF-8');
    const body = hasByteOrderMark(bytes) ? bytes.subarray(3) : bytes;
    const spans = scan(body);
    const value: unknown = JSON.parse(body.toString());
    if (!isJsonObject(value)) throw new TypeError('not a JSON object');
    return new JsonBody(body, Object.keys(value).some(hasBackslash) ? reread(body, spans) : value, spans);
  }

  /**
   * The body with some top-level members replaced, added or (null) taken out; all others byte for byte as they came. Of a name that
   * stands twice only the last is sent: readers differ in which of the two they take, and that one is what we understood.
   */
  with(changes: Changes): Buffer[] {
    const members = this.#findMembers();
    if (changes.size === 0 && !members.some(({ superseded }) => superseded)) return [this.bytes];
    const pieces: (Buffer | string)[] = [];
    const remaining = new Map(changes);
    let runStart = -1;
    let runEnd = -1;
    const endRun = () => {
      if (runStart >= 0) pieces.push(this.bytes.subarray(runStart, runEnd));
      runStart = -1;
    };
    for (const member of members) {
      if (member.superseded) {
        endRun();
        continue;
      }
      const change = remaining.get(member.key);
      if (change === undefined) {
        if (runStart < 0) runStart = member.start;
        runEnd = member.end;
        continue;
      }
      endRun();
      remaining.delete(member.key);
      if (change !== null) pieces.push(printMember(member.key, change));
    }
    endRun();
    for (const [key, value] of remaining) if (value !== null) pieces.push(printMember(key, value));
    return joinPieces(pieces);
  }

  /** What a top-level member's value looks like as it came; null if there is none. */
  textOf(key: string): string | null {
    const member = this.#findMembers().find((one) => one.key === key && !one.superseded);
    return member === undefined ? null : this.bytes.toString('utf8', member.valueStart, member.end);
  }

  #findMembers(): readonly Member[] {
    if (this.#members !== null) return this.#members;
    const members = this.#spans.map(
      (span): Member => ({
        key: readKey(this.bytes, span),
        start: span.start,
        valueStart: span.valueStart,
        end: span.end,
        superseded: false,
      }),
    );
    if (members.length !== Object.keys(this.value).length) {
      const last = new Map(members.map((member) => [member.key, member]));
      for (const member of members) member.superseded = last.get(member.key) !== member;
    }
    this.#members = members;
    return members;
  }
}

function hasByteOrderMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

function printMember(key: string, value: Json): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
}

/** The pieces with commas between them and braces round them: one buffer if small, else slices. */
function joinPieces(pieces: readonly (Buffer | string)[]): Buffer[] {
  const parts: Buffer[] = [];
  let text = '{';
  let total = 0;
  const add = (part: Buffer) => {
    parts.push(part);
    total += part.length;
  };
  pieces.forEach((piece, index) => {
    if (index > 0) text += ',';
    if (typeof piece === 'string') {
      text += piece;
      return;
    }
    add(Buffer.from(text));
    add(piece);
    text = '';
  });
  add(Buffer.from(`${text}}`));
  return total <= COPY_UP_TO ? [Buffer.concat(parts, total)] : parts;
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
