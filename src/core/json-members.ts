import type { Searched } from './characters.ts';
import type { Json } from './json.ts';

/** Where one member of the top-level object lies in the bytes. */
export interface Span {
  /** Of the key's opening quote. */
  start: number;
  /** One past the key's closing quote. */
  keyEnd: number;
  /** Of the value's first byte. */
  valueStart: number;
  /** One past the value's last byte. */
  end: number;
  /** Of a long array or object, some of the commas that stand directly in it, about `PIECE` apart. Null: it has none. */
  commas: number[] | null;
}

/** What long arrays are parsed in, at least. Bytes. */
const PIECE = 64 * 1024;

/** Levels of arrays and objects within each other. Parsing goes deeper; printing again, and many an upstream, does not. */
const DEEPEST = 512;
/** Strings, arrays, objects and what stands between commas: each takes many times its own bytes in memory, and 30 MB of `[],` seconds. */
const MOST_VALUES = 500_000;

/** Quotes within a string stand close together: the bytes after one are looked at one by one, since a native search takes about as long to begin. */
const SHORT = 8;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * Finds the members of the top-level object. `text`: the same with a character for each byte. Throws a RangeError for a body that would cost far
 * more to parse than its length says. Only brackets, colons, commas and quotes matter, and the inside of a string is skipped from quote to quote. What is not JSON is left to the parser to find: then the spans mean nothing.
 */
export function findMembers(bytes: Buffer, text: Searched): Span[] {
  const spans: Span[] = [];
  let member: Span | null = null;
  let depth = 0;
  let values = 0;
  let nextPiece = 0;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        values++;
        const end = endOfString(bytes, text, at);
        if (end < 0) return spans;
        if (depth === 1 && member === null) {
          member = { start: at, keyEnd: end, valueStart: -1, end: -1, commas: null };
          spans.push(member);
        }
        at = end - 1;
        break;
      }
      case COLON:
        if (depth === 1 && member !== null) {
          member.valueStart = skipSpace(bytes, at + 1);
          nextPiece = at + PIECE;
        }
        break;
      case 0x7b:
      case 0x5b:
        values++;
        if (++depth > DEEPEST) throw tooDeep();
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
        } else if (depth === 2 && at >= nextPiece && member !== null) {
          member.commas ??= [];
          member.commas.push(at);
          nextPiece = at + PIECE;
        }
    }
    if (values > MOST_VALUES) throw new RangeError(`it holds more than ${MOST_VALUES} values`);
  }
  return spans;
}

/** Throws a RangeError for a value that `findMembers` would refuse for its nesting. */
export function checkDepth(value: Json | undefined, depth = 0): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth === DEEPEST) throw tooDeep();
  if (Array.isArray(value)) for (const inner of value) checkDepth(inner, depth + 1);
  else for (const name in value) checkDepth(value[name], depth + 1);
}

function tooDeep(): RangeError {
  return new RangeError(`it is nested deeper than ${DEEPEST} levels`);
}

/** From an opening quote to one past the closing one; -1 if there is none. `text`: the same with a character for each byte. */
export function endOfString(bytes: Buffer, text: Searched, at: number): number {
  for (let from = at + 1; ; ) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return -1;
    // Backslashes end at the quote before, if not earlier. An even number of them are characters by themselves.
    let before = quote - 1;
    while (bytes[before] === BACKSLASH) before--;
    if ((quote - before) % 2 === 1) return quote + 1;
    from = quote + 1;
    const near = Math.min(from + SHORT, bytes.length);
    while (from < near) {
      const byte = bytes[from];
      if (byte === QUOTE) return from + 1;
      from += byte === BACKSLASH ? 2 : 1;
    }
  }
}

export function readKey(bytes: Buffer, { start, keyEnd }: Span): string {
  return JSON.parse(bytes.toString('utf8', start, keyEnd)) as string;
}

function skipSpace(bytes: Buffer, start: number): number {
  let at = start;
  while (isSpace(bytes[at])) at++;
  return at;
}

function endWithoutSpace(bytes: Buffer, end: number): number {
  let at = end;
  while (isSpace(bytes[at - 1])) at--;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
