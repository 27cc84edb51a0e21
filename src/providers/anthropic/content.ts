import { isUtf8 } from 'node:buffer';
import type { InputKind } from '../../capabilities/capabilities.ts';
import type { FilePart, ImagePart, Part, Source } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import { Unsupported } from '../adapter.ts';
import type { Marks } from './marks.ts';

/** What Anthropic takes as pictures, with a name for JPEG that some clients use. */
const PICTURES: Readonly<Record<string, string>> = {
  'image/jpeg': 'image/jpeg',
  'image/jpg': 'image/jpeg',
  'image/png': 'image/png',
  'image/gif': 'image/gif',
  'image/webp': 'image/webp',
};

/** Types that are text, though their names do not begin so. */
const TEXTS = new Set(['application/json', 'application/xml', 'application/yaml', 'application/javascript']);

/** `input`: what the model reads besides text; null = not known. */
export interface ContentRules {
  input: ReadonlySet<InputKind> | null;
  marks: Marks;
}

/** Parts of a message as content blocks. Blank texts are left out, as they are a 400; their mark goes to what stands before them. */
export function blocksOf(parts: readonly Part[], rules: ContentRules): JsonObject[] {
  const blocks: JsonObject[] = [];
  for (const part of parts) {
    if (part.kind === 'text' && part.text.trim() === '') {
      const before = blocks.at(-1);
      if (before !== undefined && before['cache_control'] === undefined) rules.marks.put(before, part.cache);
      continue;
    }
    const block = blockOf(part, rules);
    rules.marks.put(block, part.cache);
    blocks.push(block);
  }
  return blocks;
}

/** One text without a mark as that text, else the blocks. */
export function contentOf(blocks: JsonObject[]): string | JsonObject[] {
  const [only] = blocks;
  const isPlain =
    blocks.length === 1 && only !== undefined && only['type'] === 'text' && Object.keys(only).length === 2;
  return isPlain ? (only['text'] as string) : blocks;
}

function blockOf(part: Part, { input }: ContentRules): JsonObject {
  if (part.kind === 'text') return { type: 'text', text: part.text };
  if (part.kind === 'audio') throw new Unsupported(part.at, 'Audio input is not supported.');
  if (input !== null && !input.has(part.kind)) {
    throw new Unsupported(part.at, `Input of the type '${part.kind}' is not supported.`);
  }
  return part.kind === 'image' ? imageBlock(part) : fileBlock(part);
}

function imageBlock({ source, at }: ImagePart): JsonObject {
  if (source.kind === 'url') return { type: 'image', source: urlSource(source, at) };
  const type = pictureType(source.mediaType);
  if (type === null) throw new Unsupported(at, 'Images must be JPEG, PNG, GIF or WebP.');
  return { type: 'image', source: base64Source(type, source.data) };
}

function fileBlock(part: FilePart): JsonObject {
  const { source, name, at } = part;
  const title = name === null ? {} : { title: name };
  if (source.kind === 'url') return { type: 'document', source: urlSource(source, at), ...title };
  const { mediaType, data } = source;
  if (mediaType === 'application/pdf') {
    return { type: 'document', source: base64Source(mediaType, data), ...title };
  }
  const picture = pictureType(mediaType);
  if (picture !== null) return { type: 'image', source: base64Source(picture, data) };
  if (mediaType.startsWith('text/') || TEXTS.has(mediaType)) {
    const text = { type: 'text', media_type: 'text/plain', data: textOf(data, at) };
    return { type: 'document', source: text, ...title };
  }
  throw new Unsupported(at, 'Files must be PDF or text.');
}

function pictureType(mediaType: string): string | null {
  return Object.hasOwn(PICTURES, mediaType) ? (PICTURES[mediaType] ?? null) : null;
}

function base64Source(mediaType: string, data: string): JsonObject {
  return { type: 'base64', media_type: mediaType, data };
}

/** Anthropic fetches it itself, but only so; see `fetches` of the adapter for `http:`. */
function urlSource({ url }: Extract<Source, { kind: 'url' }>, at: string): JsonObject {
  if (!/^https:/i.test(url)) throw new Unsupported(at, 'Only https URLs and data URLs are supported.');
  return { type: 'url', url };
}

function textOf(data: string, at: string): string {
  const bytes = Buffer.from(data, 'base64');
  if (!isUtf8(bytes)) throw new Unsupported(at, 'A file of text must be in UTF-8.');
  return bytes.toString();
}
