import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** The members by which a part, a tool or a result asks for a place in a prompt cache: both dialects write them alike. */
export function cacheMarks(owner: JsonObject): JsonObject {
  const marks: JsonObject = {};
  for (const name of ['cache_control', 'prompt_cache_breakpoint']) {
    const mark = owner[name];
    if (isJsonObject(mark)) marks[name] = mark;
  }
  return marks;
}

/**
 * The content of a message, or a tool's output: a text, or a list of parts, as chat completions write it. A list of one text becomes that text,
 * since not every host takes lists. `at`: where it stands in the request.
 */
export function contentOf(content: Json | undefined, at: string): string | Json[] {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) {
    throw new Unsupported(at, `Invalid '${at}': expected a string or a list of parts.`);
  }
  const parts = content.map((part, index) => partOf(part, `${at}[${index}]`));
  const only = parts.length === 1 ? parts[0] : undefined;
  if (only !== undefined && only['type'] === 'text' && Object.keys(only).length === 2) {
    return only['text'] as string;
  }
  return parts.length === 0 ? '' : parts;
}

/** What an assistant said: its texts, and its refusals apart from them. */
export function assistantContent(
  content: Json | undefined,
  at: string,
): { text: string | null; refusal: string } {
  if (typeof content === 'string') return { text: content, refusal: '' };
  if (!Array.isArray(content)) {
    throw new Unsupported(at, `Invalid '${at}': expected a string or a list of parts.`);
  }
  let text: string | null = null;
  let refusal = '';
  for (const [index, part] of content.entries()) {
    const place = `${at}[${index}]`;
    const type = isJsonObject(part) ? part['type'] : null;
    if (isJsonObject(part) && type === 'refusal') refusal += textIn(part, 'refusal', place);
    else if (isJsonObject(part) && isText(type)) text = (text ?? '') + textIn(part, 'text', place);
    else throw new Unsupported(place, `An assistant's content is of text and refusals, not ${named(type)}.`);
  }
  return { text, refusal };
}

function partOf(part: Json, at: string): JsonObject {
  if (!isJsonObject(part)) throw new Unsupported(at, `Invalid '${at}': expected an object.`);
  const type = part['type'];
  const marks = cacheMarks(part);
  if (isText(type)) return { type: 'text', text: textIn(part, 'text', at), ...marks };
  switch (type) {
    case 'input_image':
      return { type: 'image_url', image_url: imageIn(part, at), ...marks };
    case 'input_file':
      return { type: 'file', file: fileIn(part, at), ...marks };
    case 'input_audio':
      return { type, input_audio: part['input_audio'] ?? null, ...marks };
    default:
      throw new Unsupported(at, `Parts of type ${named(type)} are not supported.`);
  }
}

/** An answer's part among the input is a text like any other; `text` is what chat completions call it. */
function isText(type: Json | undefined): boolean {
  return type === 'input_text' || type === 'output_text' || type === 'text';
}

function textIn(part: JsonObject, name: string, at: string): string {
  const text = part[name];
  if (typeof text !== 'string')
    throw new Unsupported(`${at}.${name}`, `A part needs its '${name}', a string.`);
  return text;
}

function imageIn(part: JsonObject, at: string): JsonObject {
  const { image_url: url, detail } = part;
  if (typeof url !== 'string' || url === '') {
    throw new Unsupported(at, 'An image needs its image_url, a string; files by id are not supported.');
  }
  return typeof detail === 'string' ? { url, detail } : { url };
}

/** `file_url` is no member of OpenAI's chat completions; what reads them here knows it. */
function fileIn(part: JsonObject, at: string): JsonObject {
  const file: JsonObject = {};
  for (const name of ['file_data', 'file_url', 'filename']) {
    const value = part[name];
    if (typeof value === 'string' && value !== '') file[name] = value;
  }
  if (file['file_data'] === undefined && file['file_url'] === undefined) {
    throw new Unsupported(at, 'A file needs its file_data or file_url; files by id are not supported.');
  }
  return file;
}

/** A type for people: what a client made up is not repeated at length. */
export function named(type: Json | undefined): string {
  return typeof type === 'string' ? `'${type.slice(0, 50)}'` : 'no known kind';
}
