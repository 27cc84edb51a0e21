import type { ModelCapabilities } from '../../capabilities/capabilities.ts';
import type { Part, Source } from '../../chat/conversation.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import type { JsonObject } from '../../core/json.ts';

/** What was uploaded with Google's Files API, and YouTube's films. */
const FILES_API = /^https:\/\/generativelanguage\.googleapis\.com\/(?:v[^/]+\/)?files\//i;
const YOUTUBE = /^https:\/\/(?:(?:www\.|m\.)?youtube\.com\/|youtu\.be\/)/i;
const CLOUD_STORAGE = /^gs:\/\//i;

/** Does Google read what this URL names by itself? All else must come with the request. */
export function isReadByGoogle(url: string): boolean {
  return FILES_API.test(url) || YOUTUBE.test(url) || CLOUD_STORAGE.test(url);
}

/** A part of a user's message, or of a tool's result. */
export function partOf(part: Part, { input }: ModelCapabilities): JsonObject {
  if (part.kind === 'text') return { text: part.text };
  if (input !== null && !input.has(part.kind)) {
    throw new Unsupported(part.at, `Parts of type '${part.kind}' are not supported.`);
  }
  switch (part.kind) {
    case 'image':
      return mediaOf(part.source, 'image/jpeg', part.at);
    case 'file':
      return mediaOf(part.source, 'application/pdf', part.at);
    case 'audio':
      if (!/^[a-z0-9.+-]{1,50}$/i.test(part.format)) {
        throw new Unsupported(part.at, 'It names no format of audio.');
      }
      return { inlineData: { mimeType: `audio/${part.format.toLowerCase()}`, data: part.data } };
  }
}

function mediaOf(source: Source, usual: string, at: string): JsonObject {
  if (source.kind === 'data') {
    const { mediaType, data } = source;
    // Not a type, but often written, and refused.
    return { inlineData: { mimeType: mediaType === 'image/jpg' ? 'image/jpeg' : mediaType, data } };
  }
  const { url } = source;
  if (!isReadByGoogle(url)) {
    throw new Unsupported(at, 'It must come as data, not as a URL.');
  }
  if (YOUTUBE.test(url)) return { fileData: { fileUri: url, mimeType: 'video/mp4' } };
  // Of what was uploaded the type is known there.
  if (FILES_API.test(url)) return { fileData: { fileUri: url } };
  return { fileData: { fileUri: url, mimeType: typeOfName(url) ?? usual } };
}

const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
  pdf: 'application/pdf',
  txt: 'text/plain',
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  json: 'application/json',
  wav: 'audio/wav',
  mp3: 'audio/mp3',
  flac: 'audio/flac',
  ogg: 'audio/ogg',
  mp4: 'video/mp4',
  mov: 'video/quicktime',
  webm: 'video/webm',
};

function typeOfName(url: string): string | null {
  const ending = /\.([a-z0-9]{2,5})(?:[?#].*)?$/i.exec(url)?.[1]?.toLowerCase() ?? '';
  return Object.hasOwn(TYPES, ending) ? (TYPES[ending] ?? null) : null;
}
