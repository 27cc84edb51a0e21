import type { AudioPart, CacheMark, FilePart, ImagePart, Part, Source } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import { Unsupported } from '../adapter.ts';
import { Bounds } from './bounds.ts';
import { DocumentNames, documentFormat, documentFormatOfName } from './documents.ts';
import { caches, type Target } from './target.ts';

const IMAGE_FORMATS: Readonly<Record<string, string>> = {
  'image/jpeg': 'jpeg',
  'image/jpg': 'jpeg',
  'image/png': 'png',
  'image/gif': 'gif',
  'image/webp': 'webp',
};

/** OpenAI's two, and what else a client may name that Converse knows. */
const AUDIO_FORMATS = new Set(['wav', 'mp3', 'flac', 'aac', 'm4a', 'ogg', 'opus', 'webm', 'pcm', 'mp4']);

/** Blocks of content for one request: names of documents are unique in it, and there are only so many of them. */
export class Blocks {
  readonly #target: Target;
  readonly #documents = new DocumentNames();
  readonly #bounds: Bounds;

  constructor(target: Target) {
    this.#target = target;
    this.#bounds = new Bounds(target);
  }

  /** What follows is of another message. */
  nextMessage(): void {
    this.#bounds.nextMessage();
  }

  /** A part of a user's or the assistant's content, with its cache point. Nothing for a blank text, which is refused. */
  part(part: Part): JsonObject[] {
    const block = this.bare(part);
    return block === null ? [] : [block, ...this.cachePoint(part.cache)];
  }

  /** The same without its cache point; null for a blank text. */
  bare(part: Part): JsonObject | null {
    switch (part.kind) {
      case 'text':
        return isBlank(part.text) ? null : { text: part.text };
      case 'image':
        return this.#image(part);
      case 'audio':
        return this.#audio(part);
      case 'file':
        return this.#file(part);
    }
  }

  /** What stands after a block that is marked. */
  cachePoint(mark: CacheMark | null): JsonObject[] {
    if (mark === null) return [];
    if (!caches(this.#target)) {
      this.#target.drops.drop('cache_control', 'This model does not cache prompts.');
      return [];
    }
    // Nova keeps them for five minutes, and takes no other word for it.
    const takesTtl = this.#target.family === 'claude';
    if (mark.ttl === '1h' && !takesTtl) {
      this.#target.drops.drop('cache_control', 'This model keeps prompts for five minutes.');
    }
    const ttl = takesTtl && mark.ttl !== null ? { ttl: mark.ttl } : {};
    return [{ cachePoint: { type: 'default', ...ttl } }];
  }

  #image({ source, at }: Pick<ImagePart, 'source' | 'at'>): JsonObject {
    this.#reads('image', at, 'Images are not supported.');
    const type = source.kind === 'data' ? source.mediaType.toLowerCase() : typeOfUrl(source.url);
    const format = Object.hasOwn(IMAGE_FORMATS, type) ? IMAGE_FORMATS[type] : undefined;
    if (format === undefined) throw new Unsupported(at, 'Images must be JPEG, PNG, GIF or WebP.');
    this.#bounds.image(source, at);
    return { image: { format, source: sourceBlock(source, at) } };
  }

  #audio({ format, data, at }: Pick<AudioPart, 'format' | 'data' | 'at'>): JsonObject {
    this.#reads('audio', at, 'Audio input is not supported.');
    // It hears nothing, whatever the table says of others.
    if (this.#target.family === 'claude') throw new Unsupported(at, 'Audio input is not supported.');
    if (!AUDIO_FORMATS.has(format)) throw new Unsupported(at, 'Audio must be WAV or MP3.');
    return { audio: { format, source: { bytes: data } } };
  }

  #file({ source, name, at }: FilePart): JsonObject {
    const type = source.kind === 'data' ? source.mediaType.toLowerCase() : typeOfUrl(source.url);
    if (type.startsWith('image/')) return this.#image({ source, at });
    if (type.startsWith('audio/') && source.kind === 'data') {
      return this.#audio({ format: formatOfAudio(type), data: source.data, at });
    }
    this.#reads('file', at, 'Files are not supported.');
    const format =
      source.kind === 'data'
        ? (documentFormat(type) ?? documentFormatOfName(name ?? ''))
        : (documentFormatOfName(pathOf(source.url)) ?? documentFormatOfName(name ?? ''));
    if (format === null) {
      throw new Unsupported(at, 'Files must be PDF, Word, Excel, CSV, HTML, Markdown or plain text.');
    }
    this.#bounds.document(format, source, at);
    const named = name ?? (source.kind === 'url' ? (pathOf(source.url).split('/').at(-1) ?? null) : null);
    return { document: { format, name: this.#documents.name(named), source: sourceBlock(source, at) } };
  }

  #reads(kind: 'image' | 'audio' | 'file', at: string, why: string): void {
    const { input } = this.#target.capabilities;
    if (input !== null && !input.has(kind)) throw new Unsupported(at, why);
  }
}

/** Converse refuses a text of nothing but white space. */
export function isBlank(text: string): boolean {
  return !/\S/.test(text);
}

/** Bytes, or a place in S3, which is the only one that Bedrock fetches from. */
function sourceBlock(source: Source, at: string): JsonObject {
  if (source.kind === 'data') return { bytes: source.data };
  if (isS3(source.url)) return { s3Location: { uri: source.url } };
  throw new Unsupported(at, 'Files by URL are not supported.');
}

export function isS3(url: string): boolean {
  return /^s3:/i.test(url);
}

function pathOf(url: string): string {
  return url.replace(/[?#].*$/s, '');
}

/** By its ending; '' where that says nothing. */
function typeOfUrl(url: string): string {
  const ending = /\.(jpe?g|png|gif|webp)$/i.exec(pathOf(url))?.[1]?.toLowerCase();
  return ending === undefined ? '' : `image/${ending}`;
}

function formatOfAudio(type: string): string {
  const name = type.slice('audio/'.length).replace(/^x-/, '');
  return name === 'mpeg' ? 'mp3' : name === 'wave' ? 'wav' : name;
}
