import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { AudioPart, CacheMark, FilePart, ImagePart, Part, Source, TextPart } from './conversation.ts';
import { Unsupported } from './unsupported.ts';

/** `cache_control` as Anthropic writes it, or OpenAI's `prompt_cache_breakpoint`. */
export function readCache(owner: JsonObject): CacheMark | null {
  const control = owner['cache_control'];
  if (isJsonObject(control)) {
    const { ttl } = control;
    return { ttl: ttl === '1h' || ttl === '5m' ? ttl : null };
  }
  const breakpoint = owner['prompt_cache_breakpoint'];
  return breakpoint === true || isJsonObject(breakpoint) ? { ttl: null } : null;
}

/** Content of a message: text, or a list of parts. `cache`: the message's own mark, which falls to its last part. */
export function readParts(content: Json | undefined, at: string, cache: CacheMark | null): Part[] {
  const parts: Part[] = [];
  if (typeof content === 'string') {
    if (content !== '') parts.push({ kind: 'text', text: content, cache: null, at });
  } else if (Array.isArray(content)) {
    for (const [index, part] of content.entries()) {
      const read = readPart(part, `${at}[${index}]`);
      if (read.kind !== 'text' || read.text !== '') parts.push(read);
    }
  } else if (content !== undefined && content !== null) {
    throw new Unsupported(at, 'The content must be a text or a list of parts.');
  }
  const last = parts.at(-1);
  if (cache !== null && last !== undefined && last.cache === null) last.cache = cache;
  return parts;
}

/** Where only texts may stand. */
export function readTexts(content: Json | undefined, at: string, cache: CacheMark | null): TextPart[] {
  return readParts(content, at, cache).map((part) => {
    if (part.kind !== 'text')
      throw new Unsupported(part.at, `Only text is supported here, not '${part.kind}'.`);
    return part;
  });
}

function readPart(part: Json, at: string): Part {
  if (!isJsonObject(part)) throw new Unsupported(at, 'A part of the content must be an object.');
  const cache = readCache(part);
  switch (part['type']) {
    case 'text':
    case 'input_text':
    case 'output_text':
      return textPart(part['text'], cache, at);
    case 'refusal':
      return textPart(part['refusal'], cache, at);
    case 'image_url':
    case 'input_image':
      return imagePart(part, cache, at);
    case 'input_audio':
      return audioPart(part, cache, at);
    case 'file':
    case 'input_file':
      return filePart(part, cache, at);
    default: {
      const type = typeof part['type'] === 'string' ? part['type'].slice(0, 50) : 'without a type';
      throw new Unsupported(at, `Parts of type '${type}' are not supported.`);
    }
  }
}

function textPart(text: Json | undefined, cache: CacheMark | null, at: string): TextPart {
  if (typeof text !== 'string') throw new Unsupported(at, 'A part of text needs its text.');
  return { kind: 'text', text, cache, at };
}

function imagePart(part: JsonObject, cache: CacheMark | null, at: string): ImagePart {
  const image = part['image_url'];
  const url = isJsonObject(image) ? image['url'] : image;
  if (typeof url !== 'string' || url === '') {
    throw new Unsupported(at, 'An image needs a URL; files by id are not supported.');
  }
  const detail = isJsonObject(image) ? image['detail'] : part['detail'];
  const source = sourceOf(url, 'image/png', at);
  if (source.kind === 'data' && !source.mediaType.startsWith('image/')) {
    throw new Unsupported(at, 'Its data URL is of no image, by its media type.');
  }
  return {
    kind: 'image',
    source,
    detail: typeof detail === 'string' ? detail : null,
    cache,
    at,
  };
}

function audioPart(part: JsonObject, cache: CacheMark | null, at: string): AudioPart {
  const audio = part['input_audio'];
  const { format, data } = isJsonObject(audio) ? audio : {};
  if (typeof data !== 'string' || typeof format !== 'string') {
    throw new Unsupported(at, 'Audio needs its data and its format.');
  }
  return { kind: 'audio', format, data, cache, at };
}

function filePart(part: JsonObject, cache: CacheMark | null, at: string): FilePart {
  const inner = part['file'];
  const file = isJsonObject(inner) ? inner : part;
  const { filename, file_data: data, file_url: url } = file;
  const name = typeof filename === 'string' && filename !== '' ? filename : null;
  if (typeof data === 'string' && data !== '') {
    const source: Source = data.startsWith('data:')
      ? sourceOf(data, 'application/pdf', at)
      : { kind: 'data', mediaType: mediaTypeOfName(name), data };
    return { kind: 'file', source, name, cache, at };
  }
  if (typeof url === 'string' && url !== '') {
    return { kind: 'file', source: sourceOf(url, 'application/pdf', at), name, cache, at };
  }
  throw new Unsupported(at, 'A file needs its data or a URL; files by id are not supported.');
}

/** Of RFC 2397's forms, those in base64 and, since some clients write short texts so, in percent escapes. */
const DATA_URL = /^data:([^;,]{0,200})((?:;[^;,]{0,200}){0,5}),/i;

/** A data URL becomes its data; any other is where the bytes are. `usual`: the type where the URL gives none. */
function sourceOf(url: string, usual: string, at: string): Source {
  if (!/^data:/i.test(url)) {
    if (!/^[a-z][a-z0-9+.-]{1,20}:/i.test(url)) throw new Unsupported(at, 'It has no valid URL.');
    return { kind: 'url', url };
  }
  const head = DATA_URL.exec(url);
  if (head === null) throw new Unsupported(at, 'Its data URL is not well-formed.');
  const mediaType = (head[1] ?? '').toLowerCase() || usual;
  const rest = url.slice(head[0].length);
  if (rest === '') throw new Unsupported(at, 'Its data URL has no data.');
  if (/;base64$/i.test(head[2] ?? '')) {
    if (!isBase64(rest)) throw new Unsupported(at, 'The data in its URL is not base64, as it says.');
    return { kind: 'data', mediaType, data: rest };
  }
  return { kind: 'data', mediaType, data: Buffer.from(unescaped(rest, at)).toString('base64') };
}

/** Longer data is looked at in so many characters of its beginning and of its end: each of a picture's megabytes would cost a millisecond. */
const SAMPLE = 65_536;

/** In either alphabet, with or without padding and line breaks. */
function isBase64(data: string): boolean {
  const isLong = data.length > 2 * SAMPLE;
  if (isLong && NOT_BASE64.test(data.slice(0, SAMPLE))) return false;
  const end = isLong ? data.slice(-SAMPLE) : data;
  const letters = end.search(NOT_BASE64);
  if (letters < 0) return data.trim() !== '';
  const padding = end.slice(letters, letters + LONGEST_PADDING);
  return letters > 0 && end.length - letters <= LONGEST_PADDING && /^={1,2}\s*$/.test(padding);
}

/** One class of characters: it cannot go back. */
const NOT_BASE64 = /[^A-Za-z0-9+/_\s-]/;
/** With line breaks after it. Characters. */
const LONGEST_PADDING = 16;

function unescaped(text: string, at: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Unsupported(at, 'Its data URL is not well-formed.');
  }
}

/** For data that comes without a type. */
const TYPES_BY_ENDING: Readonly<Record<string, string>> = {
  pdf: 'application/pdf',
  txt: 'text/plain',
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  json: 'application/json',
};

function mediaTypeOfName(name: string | null): string {
  const ending = name?.split('.').at(-1)?.toLowerCase() ?? '';
  return (Object.hasOwn(TYPES_BY_ENDING, ending) ? TYPES_BY_ENDING[ending] : undefined) ?? 'application/pdf';
}
