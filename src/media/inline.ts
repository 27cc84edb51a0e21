import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { MediaFetcher } from './media.ts';
import { MediaError } from './media-error.ts';
import type { MediaKind } from './media-types.ts';
import type { MediaLimits } from './stop.ts';

/** Of one request; no provider takes more than this many pictures and files together. */
const MOST_URLS = 32;
/** At a time, of one request, so that others get their turn. */
const AT_A_TIME = 4;

/** A part of a message's content that names a picture or file by URL. */
interface Found {
  message: number;
  part: number;
  kind: MediaKind;
  url: string;
  /** The same part with another URL. */
  with(url: string): JsonObject;
}

/** Is there anything in a chat request that would have to be fetched? */
export function needsMedia(request: JsonObject, fetches: (url: string) => boolean): boolean {
  return find(request, fetches).length > 0;
}

/**
 * A chat request with its pictures and files sent along: URLs for which `fetches` holds become `data:` URLs; each is fetched once in a request's
 * life, for however many targets. The request is not touched; the same is given back where there is nothing to fetch. Rejects with a
 * `MediaError` that names the part.
 */
export async function inlineMedia(
  request: JsonObject,
  fetches: (url: string) => boolean,
  fetcher: MediaFetcher,
  limits: MediaLimits = {},
): Promise<JsonObject> {
  const found = find(request, fetches);
  if (found.length === 0) return request;
  if (new Set(found.map(({ url }) => url)).size > MOST_URLS) {
    throw new MediaError(`More than ${MOST_URLS} URLs in one request are not fetched.`, 'messages');
  }
  const media = fetcher.of(request);
  const messages = [...(request['messages'] as Json[])];
  const left = [...found];
  let failed = false;
  const work = async () => {
    for (let one = left.shift(); one !== undefined && !failed; one = left.shift()) {
      const { message, part, kind, url } = one;
      try {
        const file = await media.get(url, kind, limits);
        messages[message] = withPart(messages[message], part, one.with(file.url));
      } catch (error) {
        failed = true;
        if (!(error instanceof MediaError)) throw error;
        throw new MediaError(error.message, `messages[${message}].content[${part}]`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return { ...request, messages };
}

function withPart(message: Json | undefined, index: number, part: JsonObject): JsonObject {
  const whole = message as JsonObject;
  const content = (whole['content'] as Json[]).map((one, at) => (at === index ? part : one));
  return { ...whole, content };
}

function find(request: JsonObject, fetches: (url: string) => boolean): Found[] {
  const { messages } = request;
  const found: Found[] = [];
  for (const [message, one] of (Array.isArray(messages) ? messages : []).entries()) {
    const content = isJsonObject(one) ? one['content'] : null;
    for (const [part, inner] of (Array.isArray(content) ? content : []).entries()) {
      const place = isJsonObject(inner) ? placeIn(inner) : null;
      if (place !== null && /^https?:/i.test(place.url) && fetches(place.url)) {
        found.push({ message, part, ...place });
      }
    }
  }
  return found;
}

/** Where a part names its URL; null if it holds the data itself, or has neither. */
function placeIn(part: JsonObject): Pick<Found, 'kind' | 'url' | 'with'> | null {
  switch (part['type']) {
    case 'image_url':
    case 'input_image': {
      const image = part['image_url'];
      const url = isJsonObject(image) ? image['url'] : image;
      if (typeof url !== 'string') return null;
      const changed = (to: string) => (isJsonObject(image) ? { ...image, url: to } : to);
      return { kind: 'image', url, with: (to) => ({ ...part, image_url: changed(to) }) };
    }
    case 'file':
    case 'input_file': {
      const inner = part['file'];
      const file = isJsonObject(inner) ? inner : part;
      const { file_url: url, file_data: data } = file;
      if (typeof url !== 'string' || (typeof data === 'string' && data !== '')) return null;
      if (file === part) return { kind: 'file', url, with: (to) => ({ ...part, file_url: to }) };
      return { kind: 'file', url, with: (to) => ({ ...part, file: { ...file, file_url: to } }) };
    }
    default:
      return null;
  }
}
