import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Left } from './left.ts';

/** Anthropic's `cache_control` as a part of chat content carries it. */
export function cacheOf(owner: JsonObject): JsonObject {
  const control = owner['cache_control'];
  if (!isJsonObject(control)) return {};
  const { ttl } = control;
  return { cache_control: { type: 'ephemeral', ...(ttl === '5m' || ttl === '1h' ? { ttl } : {}) } };
}

/** Parts of content as chat messages have them: a text by itself where there is no more to say, which every host takes. */
export function contentOf(parts: readonly JsonObject[]): Json {
  const [first] = parts;
  if (first === undefined) return '';
  const isPlain = parts.length === 1 && first['type'] === 'text' && !Object.hasOwn(first, 'cache_control');
  return isPlain ? (first['text'] as string) : [...parts];
}

/** The blocks of content that is a text or a list of them, each with where it stands. */
export function* blocksOf(
  content: Json | undefined,
  at: string,
): Generator<{ block: JsonObject; place: string }> {
  if (content === undefined || content === null) return;
  if (typeof content === 'string') {
    yield { block: { type: 'text', text: content }, place: at };
    return;
  }
  if (!Array.isArray(content)) throw new Unsupported(at, 'It must be a text or a list of blocks.');
  for (const [index, block] of content.entries()) {
    const place = `${at}[${index}]`;
    if (!isJsonObject(block)) throw new Unsupported(place, 'A block of content must be an object.');
    yield { block, place };
  }
}

/** Where only texts may stand. */
export function textParts(content: Json | undefined, at: string): JsonObject[] {
  const parts: JsonObject[] = [];
  for (const { block, place } of blocksOf(content, at)) {
    if (block['type'] !== 'text') throw unknownBlock(block, place);
    parts.push(...textPart(block, place));
  }
  return parts;
}

/** What a user or a tool says: text, pictures, documents. */
export function inputParts(block: JsonObject, at: string, left: Left): JsonObject[] {
  switch (block['type']) {
    case 'text':
      return textPart(block, at);
    case 'image':
      left.unless(block['transformations'] == null, 'transformations');
      return [imagePart(block, at)];
    case 'document':
      return documentParts(block, at, left);
    default:
      throw unknownBlock(block, at);
  }
}

export function textPart(block: JsonObject, at: string): JsonObject[] {
  const { text } = block;
  if (typeof text !== 'string') throw new Unsupported(`${at}.text`, 'A block of text needs its text.');
  // Hosts refuse empty ones.
  return text === '' ? [] : [{ type: 'text', text, ...cacheOf(block) }];
}

export function unknownBlock(block: JsonObject, at: string): Unsupported {
  const type =
    typeof block['type'] === 'string' ? `of type '${block['type'].slice(0, 60)}'` : 'without a type';
  return new Unsupported(at, `Blocks ${type} are not supported here.`);
}

function imagePart(block: JsonObject, at: string): JsonObject {
  const source = sourceOf(block, at);
  switch (source['type']) {
    case 'base64':
      return { type: 'image_url', image_url: { url: dataUrl(source, at) }, ...cacheOf(block) };
    case 'url':
      return { type: 'image_url', image_url: { url: textIn(source, 'url', at) }, ...cacheOf(block) };
    default:
      throw unknownSource(source, at);
  }
}

function documentParts(block: JsonObject, at: string, left: Left): JsonObject[] {
  const { title, context, citations } = block;
  const asksForCitations = isJsonObject(citations) && citations['enabled'] === true;
  left.unless(!asksForCitations, 'citations');
  const name = typeof title === 'string' && title !== '' ? title : null;
  const file = { ...(name === null ? {} : { filename: name }), ...documentSource(block, at) };
  const part: JsonObject = { type: 'file', file, ...cacheOf(block) };
  // What is told of the document, and is not part of it.
  return typeof context === 'string' && context !== '' ? [{ type: 'text', text: context }, part] : [part];
}

function documentSource(block: JsonObject, at: string): JsonObject {
  const source = sourceOf(block, at);
  switch (source['type']) {
    case 'base64':
      return { file_data: dataUrl(source, at) };
    case 'url':
      return { file_url: textIn(source, 'url', at) };
    case 'text':
      return { file_data: textUrl(textIn(source, 'data', at)) };
    case 'content':
      return { file_data: textUrl(joinedText(source['content'], `${at}.source.content`)) };
    default:
      throw unknownSource(source, at);
  }
}

/** A document in pieces, which only matter to citations. */
function joinedText(content: Json | undefined, at: string): string {
  return textParts(content, at)
    .map(({ text }) => text)
    .join('\n');
}

function textUrl(text: string): string {
  return `data:text/plain;base64,${Buffer.from(text).toString('base64')}`;
}

function dataUrl(source: JsonObject, at: string): string {
  return `data:${textIn(source, 'media_type', at)};base64,${textIn(source, 'data', at)}`;
}

function sourceOf(block: JsonObject, at: string): JsonObject {
  const { source } = block;
  if (!isJsonObject(source)) throw new Unsupported(`${at}.source`, 'It must be an object.');
  return source;
}

function textIn(source: JsonObject, name: string, at: string): string {
  const value = source[name];
  if (typeof value !== 'string' || value === '') {
    throw new Unsupported(`${at}.source.${name}`, 'It must be a non-empty text.');
  }
  return value;
}

function unknownSource(source: JsonObject, at: string): Unsupported {
  const why =
    source['type'] === 'file'
      ? 'Files by id are known to Anthropic only.'
      : 'Sources of this type are not supported.';
  return new Unsupported(`${at}.source`, why);
}
