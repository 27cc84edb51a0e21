import { isUtf8 } from 'node:buffer';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** Where one member of the top-level object lies in the bytes. */
interface Member {
  key: string;
  /** Of the key's opening quote. */
  start: number;
  /** One past the value's last byte. */
  end: number;
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
  #members: Member[] | null = null;

  private constructor(bytes: Buffer, value: JsonObject) {
    this.bytes = bytes;
    this.value = value;
  }

  /** Throws SyntaxError for what is not JSON, TypeError for JSON that is not an object, RangeError for too much nesting or too many values. */
  static parse(bytes: Buffer): JsonBody {
    if (!isUtf8(bytes)) throw new SyntaxError('its bytes are not UTF-8');
    const start = hasByteOrderMark(bytes) ? 3 : 0;
    checkShape(bytes, start);
    const value: unknown = JSON.parse(bytes.toString('utf8', start));
    if (!isJsonObject(value)) throw new TypeError('not a JSON object');
    return new JsonBody(start === 0 ? bytes : bytes.subarray(start), value);
  }

  /** The body with some top-level members replaced, added or (null) taken out; all others byte for byte as they came. */
  with(changes: Changes): Buffer[] {
    if (changes.size === 0) return [this.bytes];
    this.#members ??= findMembers(this.bytes);
    const members = this.#members;
    // A name that stands twice: readers differ in which of the two they take, so send what we understood and no other.
    if (members.length !== Object.keys(this.value).length)
      return [Buffer.from(JSON.stringify(this.#merged(changes)))];

    const pieces: (Buffer | string)[] = [];
    const remaining = new Map(changes);
    let runStart = -1;
    let runEnd = -1;
    const endRun = () => {
      if (runStart >= 0) pieces.push(this.bytes.subarray(runStart, runEnd));
      runStart = -1;
    };
    for (const member of members) {
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

  #merged(changes: Changes): JsonObject {
    const merged = { ...this.value };
    for (const [key, value] of changes) {
      if (value === null) delete merged[key];
      else merged[key] = value;
    }
    return merged;
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

/**
 * Finds the members of the top-level object. The bytes are known to be valid JSON, so only brackets and quotes matter;
 * the inside of a string is skipped by a native search, which makes base64 images nearly free.
 */
function findMembers(bytes: Buffer): Member[] {
  const members: Member[] = [];
  let at = bytes.indexOf(0x7b) + 1;
  for (;;) {
    at = skipSpace(bytes, at);
    if (bytes[at] !== QUOTE) return members; // the closing brace
    const start = at;
    const keyEnd = skipString(bytes, at);
    const key = JSON.parse(bytes.toString('utf8', start, keyEnd)) as string;
    at = skipSpace(bytes, keyEnd);
    if (bytes[at] !== COLON) throw new Error('findMembers was given bytes that are not JSON');
    const end = skipValue(bytes, skipSpace(bytes, at + 1));
    members.push({ key, start, end });
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at++;
  }
}

function skipSpace(bytes: Buffer, at: number): number {
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

/**
 * Throws a RangeError for a body that would cost far more than its length says. Only brackets, commas and quotes matter; what is not
 * JSON is left to the parser to find.
 */
function checkShape(bytes: Buffer, start: number): void {
  if (bytes.length <= 2 * DEEPEST) return;
  let depth = 0;
  let values = 0;
  for (let at = start; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        values++;
        const end = endOfString(bytes, at);
        if (end < 0) return;
        at = end - 1;
        break;
      }
      case 0x7b:
      case 0x5b:
        values++;
        if (++depth > DEEPEST) throw new RangeError(`it is nested deeper than ${DEEPEST} levels`);
        break;
      case 0x7d:
      case 0x5d:
        depth--;
        break;
      case COMMA:
        values++;
    }
    if (values > MOST_VALUES) throw new RangeError(`it holds more than ${MOST_VALUES} values`);
  }
}

/** From an opening quote to one past the closing one; -1 if there is none. */
function endOfString(bytes: Buffer, at: number): number {
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

function skipString(bytes: Buffer, at: number): number {
  const end = endOfString(bytes, at);
  if (end < 0) throw new Error('skipString was given bytes that are not JSON');
  return end;
}

/** From a value's first byte to one past its last. */
function skipValue(bytes: Buffer, at: number): number {
  let depth = 0;
  for (;;) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = skipString(bytes, at);
      if (depth === 0) return at;
      continue;
    }
    if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) {
      if (depth === 0) return at; // the end of the object round a number, true, false or null
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || isSpace(byte))) return at;
    else if (byte === undefined) throw new Error('skipValue was given bytes that are not JSON');
    at++;
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
