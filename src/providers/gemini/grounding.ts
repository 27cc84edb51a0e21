import type { ChoiceWriter } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** Nobody follows more links than this; each costs a search in the text. */
const MOST_CITATIONS = 500;

/** The text of one call's candidate, for those who point into it. */
export interface CitedText {
  /** All of it. */
  text: string;
  /** Where in it each part begins. */
  partStarts: readonly number[];
  /** Where it begins in the choice, which an earlier call may have begun. */
  base: number;
}

/** What an answer rests on, as Google tells it: links, and which stretches of the text each is for. */
export class Grounding {
  #chunks: Json[] = [];
  #supports: Json[] = [];
  #quoted: Json[] = [];

  /** Of a candidate. In a stream it may come more than once, each time all of it. */
  read(candidate: JsonObject): void {
    const { groundingMetadata: grounding, citationMetadata: quotes } = candidate;
    if (isJsonObject(grounding)) {
      this.#chunks = listOr(grounding['groundingChunks'], this.#chunks);
      this.#supports = listOr(grounding['groundingSupports'], this.#supports);
    }
    if (isJsonObject(quotes)) {
      this.#quoted = listOr(quotes['citations'] ?? quotes['citationSources'], this.#quoted);
    }
  }

  /** Tells the choice what was found, and begins anew. */
  tell(choice: ChoiceWriter, cited: CitedText): void {
    const told = new Set<string>();
    const tell = (link: Link, range: Range | null) => {
      const start = range === null ? 0 : cited.base + range.start;
      const end = range === null ? 0 : cited.base + range.end;
      const key = `${start} ${end} ${link.url}`;
      if (told.size >= MOST_CITATIONS || told.has(key)) return;
      told.add(key);
      choice.citation({ ...link, start, end });
    };
    const links = this.#chunks.map(linkOfChunk);
    const used = new Set<number>();
    for (const support of this.#supports.slice(0, MOST_CITATIONS)) {
      if (!isJsonObject(support) || !Array.isArray(support['groundingChunkIndices'])) continue;
      const range = rangeOf(support['segment'], cited);
      for (const index of support['groundingChunkIndices']) {
        const link = typeof index === 'number' ? links[index] : undefined;
        if (typeof index !== 'number' || !link) continue;
        used.add(index);
        tell(link, range);
      }
    }
    for (const [index, link] of links.entries()) {
      if (link !== null && !used.has(index)) tell(link, null);
    }
    for (const quote of this.#quoted.slice(0, MOST_CITATIONS)) {
      const link = isJsonObject(quote) ? linkOf(quote) : null;
      if (link !== null) tell(link, rangeOf(quote, cited));
    }
    this.#chunks = [];
    this.#supports = [];
    this.#quoted = [];
  }
}

interface Link {
  url: string;
  title: string;
}

interface Range {
  start: number;
  end: number;
}

function listOr(value: Json | undefined, otherwise: Json[]): Json[] {
  return Array.isArray(value) && value.length > 0 ? value : otherwise;
}

function linkOfChunk(chunk: Json): Link | null {
  if (!isJsonObject(chunk)) return null;
  for (const kind of ['web', 'maps', 'retrievedContext']) {
    const source = chunk[kind];
    if (isJsonObject(source)) return linkOf(source);
  }
  return null;
}

function linkOf({ uri, title }: JsonObject): Link | null {
  if (typeof uri !== 'string' || !/^https?:\/\//i.test(uri)) return null;
  return { url: uri, title: typeof title === 'string' ? title : '' };
}

/**
 * A stretch of the text in characters. Google counts bytes, from the beginning of a part in whole answers and of all the text in streams: the
 * words that it says stand there tell which.
 */
function rangeOf(segment: Json | undefined, { text, partStarts }: CitedText): Range | null {
  if (!isJsonObject(segment)) return null;
  const { startIndex = 0, endIndex, partIndex = 0, text: words } = segment;
  if (typeof startIndex === 'number' && typeof endIndex === 'number' && endIndex >= startIndex) {
    const ofPart = typeof partIndex === 'number' ? (partStarts[partIndex] ?? 0) : 0;
    for (const from of new Set([ofPart, 0])) {
      const bytes = Buffer.from(text.slice(from));
      if (endIndex > bytes.length) continue;
      const found = bytes.toString('utf8', startIndex, endIndex);
      if (typeof words === 'string' && words !== '' && found !== words) continue;
      const start = from + bytes.toString('utf8', 0, startIndex).length;
      return { start, end: start + found.length };
    }
  }
  const start = typeof words === 'string' && words !== '' ? text.indexOf(words) : -1;
  return start < 0 ? null : { start, end: start + (words as string).length };
}
