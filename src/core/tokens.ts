import type { Json } from './json.ts';
import { utf8Length } from './text.ts';

/** Bytes of UTF-8 to a token: English and code run at about 4, Cyrillic and Chinese at 3 to 4, an emoji takes one or two tokens. */
export const BYTES_PER_TOKEN = 4;

/** A picture, whatever the length of its data: by OpenAI's rules 85 in low detail, else one of about 1000 pixels each way. */
export const IMAGE_TOKENS = 800;
export const SMALL_IMAGE_TOKENS = 85;
/** A file that is only named, so that its length is not known. */
export const NAMED_FILE_TOKENS = 800;
/** Base64 characters to a token: of MP3 at 128 kbit/s by 10 to 32 tokens a second; of PDF pages by about 1000 tokens each. */
const CHARACTERS_PER_TOKEN_OF_SOUND = 1000;
const CHARACTERS_PER_TOKEN_OF_FILES = 100;

/** Of a text, estimated without a tokenizer. */
export function tokensOfText(text: string): number {
  return Math.ceil(utf8Length(text) / BYTES_PER_TOKEN);
}

/** Of sound in so many characters of base64. */
export function tokensOfSound(characters: number): number {
  return Math.ceil(characters / CHARACTERS_PER_TOKEN_OF_SOUND);
}

/** Of a file in so many characters of base64: `isText` is read as it is, anything else as the pages that it has. */
export function tokensOfBase64(characters: number, isText: boolean): number {
  return Math.ceil(
    isText ? (characters * 3) / 4 / BYTES_PER_TOKEN : characters / CHARACTERS_PER_TOKEN_OF_FILES,
  );
}

/** Of a schema or of arguments, with the names and what stands round them. */
export function tokensOfJson(value: Json): number {
  return Math.ceil(bytesOfJson(value) / BYTES_PER_TOKEN);
}

function bytesOfJson(value: Json): number {
  if (typeof value === 'string') return utf8Length(value) + 2;
  if (typeof value !== 'object' || value === null) return 4;
  let bytes = 2;
  if (Array.isArray(value)) for (const inner of value) bytes += bytesOfJson(inner) + 1;
  else for (const name in value) bytes += utf8Length(name) + 4 + bytesOfJson(value[name] as Json);
  return bytes;
}
