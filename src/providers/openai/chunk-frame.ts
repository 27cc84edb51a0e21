import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { copyBytes } from '../../core/own-bytes.ts';
import { utf8Length } from '../../core/text.ts';

const BEFORE = 'data: ';
const AFTER = '\n\n';

/** The bytes at hand end within the event, which may fit. */
export const CUT_SHORT = -1;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What may be part of an escape, or end a text. */
const ESCAPED = /["\\]/;

/** Stands in the place of texts, to see whether it is theirs. */
const PROBE = '?probe?';

/**
 * The bytes around the text of a chunk, as an event of a stream. Nearly all chunks of a stream have the same: one that has them, and a well-formed text between, says what
 * the chunk said that was parsed, but for the text. OpenAI pads its chunks with as much of `obfuscation` as hides the length of the text, so
 * this may differ too.
 */
export class ChunkFrame {
  /** What stands before the first text, between the texts, and after the last; one after the other. */
  readonly #bytes: Buffer;
  /** Where each of these parts ends. */
  readonly #ends: readonly number[];
  /** Which of the texts is the content. */
  readonly #content: number;
  /** How long the content is (see `utf8Length`) of the event that fitted last. */
  length = 0;

  private constructor(parts: readonly string[], content: number) {
    // They last as long as the stream: a small buffer of Node's would keep 64 KiB.
    this.#bytes = copyBytes(Buffer.from(parts.join('')));
    let end = 0;
    this.#ends = parts.map((part) => (end += Buffer.byteLength(part)));
    this.#content = content;
  }

  /** Of a chunk that brings text to one choice, and nothing else; null: it is not such a chunk. `data`: what it was parsed from. */
  static of(data: string, chunk: JsonObject): ChunkFrame | null {
    // Of data in several lines each has its own `data: `.
    const content = data.includes('\n') ? null : placeOf('content', onlyContent(chunk), data);
    if (content === null) return null;
    const padding = placeOf('obfuscation', chunk['obfuscation'], data);
    const places = padding === null ? [content] : [content, padding].sort((a, b) => a.start - b.start);
    const parts: string[] = [];
    let from = 0;
    for (const { start, end } of places) {
      parts.push(data.slice(from, start));
      from = end;
    }
    const last = data.slice(from);
    parts.push(last);
    // Another member may have the same name and text. With other texts in them it shows whether these are the right places.
    const probe = JSON.parse(parts.join(PROBE)) as JsonObject;
    if (onlyContent(probe) !== PROBE || (padding !== null && probe['obfuscation'] !== PROBE)) return null;
    parts[0] = BEFORE + parts[0];
    parts[parts.length - 1] = last + AFTER;
    return new ChunkFrame(parts, places.indexOf(content));
  }

  /** Where the event that begins at `start` ends; 0: it has another frame, or is not well-formed, or brings no text. Or `CUT_SHORT`. */
  fits(bytes: Buffer, start: number): number {
    const ends = this.#ends;
    this.length = 0;
    let at = start;
    for (let index = 0, part = 0; index < ends.length; index++) {
      if (index > 0) {
        const from = at;
        let plain = true;
        for (; at < bytes.length && bytes[at] !== QUOTE; at++) {
          const byte = bytes[at] as number;
          if (byte >= 0x20 && byte < 0x80 && byte !== BACKSLASH) continue;
          plain = false;
          if (byte === BACKSLASH) at++;
        }
        if (at >= bytes.length) return CUT_SHORT;
        const length = plain ? at - from : textLength(bytes, from, at);
        if (length === -1) return 0;
        if (index - 1 === this.#content) this.length = length;
      }
      const partEnd = ends[index] as number;
      const next = at + partEnd - part;
      const there = Math.min(next, bytes.length);
      if (bytes.compare(this.#bytes, part, part + there - at, at, there) !== 0) return 0;
      if (there < next) return CUT_SHORT;
      at = next;
      part = partEnd;
    }
    return this.length === 0 ? 0 : at;
  }
}

/** Of the text between the quotes before `start` and at `end`; -1: it is not well-formed, or has characters in it that were not UTF-8. */
function textLength(bytes: Buffer, start: number, end: number): number {
  try {
    const text = JSON.parse(bytes.toString('utf8', start - 1, end + 1)) as string;
    return text.includes('\uFFFD') ? -1 : utf8Length(text);
  } catch {
    return -1;
  }
}

/** The content of a chunk with one choice that brings nothing else; else null. */
function onlyContent({ choices }: JsonObject): string | null {
  const choice = Array.isArray(choices) && choices.length === 1 ? choices[0] : null;
  if (!isJsonObject(choice)) return null;
  const { delta } = choice;
  if (!isJsonObject(delta)) return null;
  const { content } = delta;
  if (typeof content !== 'string' || content === '') return null;
  for (const name in delta) if (name !== 'content' && name !== 'role' && delta[name]) return null;
  return content;
}

/** Where a member of this name first has this text, if it is written as it is. */
function placeOf(name: string, text: Json | undefined, data: string): { start: number; end: number } | null {
  if (typeof text !== 'string' || ESCAPED.test(text)) return null;
  for (const before of [`"${name}":"`, `"${name}": "`]) {
    const at = data.indexOf(`${before}${text}"`);
    if (at >= 0) return { start: at + before.length, end: at + before.length + text.length };
  }
  return null;
}
