import { decode } from './decode.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { readKey, type Span } from './json-members.ts';

const OPEN = 0x5b;
const CLOSE = 0x5d;

/** An array that is parsed in pieces. */
type Cut = Span & { commas: number[] };

/**
 * Parses a long object whose members have been found. The text of all of it would lie outside V8's young objects, in memory that the kernel makes room for
 * each time, or that V8 collects fully for; so long arrays are parsed in pieces, each a few of their elements, and all else without them.
 */
export function parseLong(bytes: Buffer, spans: readonly Span[]): unknown {
  return parseInPieces(bytes, spans) ?? JSON.parse(decode(bytes));
}

/** Undefined: it is not to be had in pieces, be it that it is no JSON. */
function parseInPieces(bytes: Buffer, spans: readonly Span[]): JsonObject | undefined {
  const cuts = spans.filter((span): span is Cut => isCut(bytes, span));
  if (cuts.length === 0) return undefined;
  try {
    const value: unknown = JSON.parse(textWithout(cuts, bytes));
    // A name that stands twice says more than its value does.
    if (!isJsonObject(value) || Object.keys(value).length !== spans.length) return undefined;
    return cuts.every((cut) => fill(value[readKey(bytes, cut)], bytes, cut)) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isCut(bytes: Buffer, { commas, valueStart, end }: Span): boolean {
  return commas !== null && bytes[valueStart] === OPEN && bytes[end - 1] === CLOSE;
}

/** All of it, but nothing within those arrays. */
function textWithout(cuts: readonly Cut[], bytes: Buffer): string {
  let text = '';
  let at = 0;
  for (const { valueStart, end } of cuts) {
    text += bytes.toString('utf8', at, valueStart + 1);
    at = end - 1;
  }
  return text + decode(bytes.subarray(at));
}

/** False: between two of its commas there is nothing, as in no JSON. */
function fill(array: Json | undefined, bytes: Buffer, { valueStart, end, commas }: Cut): boolean {
  if (!Array.isArray(array)) return false;
  let from = valueStart + 1;
  for (const to of [...commas, end - 1]) {
    const elements = JSON.parse(`[${bytes.toString('utf8', from, to)}]`) as Json[];
    if (elements.length === 0) return false;
    for (const element of elements) array.push(element);
    from = to + 1;
  }
  return true;
}
