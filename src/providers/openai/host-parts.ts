import { isUtf8 } from 'node:buffer';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { Unsupported } from '../adapter.ts';

const SEE_BELOW = 'What it shows is in the next message.';

/**
 * The messages with nothing in them that OpenAI's dialect has no place for, though other dialects and our extensions have; null where nothing needs to
 * change. Pictures and files that a tool shows are shown by the user right after the tools' answers, and files of plain text are texts.
 */
export function hostParts(messages: readonly Json[]): Json[] | null {
  if (!messages.some(needsChange)) return null;
  const fitted: Json[] = [];
  let shown: Json[] = [];
  for (const [index, message] of messages.entries()) {
    if (!isJsonObject(message)) {
      fitted.push(message);
      continue;
    }
    const content = fitContent(message['content'] ?? null, `messages[${index}].content`);
    if (message['role'] === 'tool') {
      const texts = partsOf(content).filter(isText);
      const others = partsOf(content).filter((part) => !isText(part));
      if (others.length > 0) shown.push(toolsName(message), ...others);
      const said = others.length === 0 ? content : texts.length > 0 ? texts : SEE_BELOW;
      fitted.push({ ...message, content: said });
      continue;
    }
    const before = shown;
    shown = [];
    if (message['role'] === 'user' && before.length > 0) {
      fitted.push({ ...message, content: [...before, ...partsOf(content)] });
      continue;
    }
    if (before.length > 0) fitted.push({ role: 'user', content: before });
    fitted.push(content === message['content'] ? message : { ...message, content });
  }
  if (shown.length > 0) fitted.push({ role: 'user', content: shown });
  return fitted;
}

function needsChange(message: Json): boolean {
  if (!isJsonObject(message) || !Array.isArray(message['content'])) return false;
  const isTool = message['role'] === 'tool';
  return message['content'].some((part) => isStrangeFile(part) || (isTool && !isText(part)));
}

function isText(part: Json): boolean {
  return isJsonObject(part) && part['type'] === 'text';
}

function toolsName({ tool_call_id: id }: JsonObject): JsonObject {
  return { type: 'text', text: `Shown by the tool call ${typeof id === 'string' ? id : ''}:` };
}

function partsOf(content: Json): Json[] {
  if (Array.isArray(content)) return content;
  return typeof content === 'string' && content !== '' ? [{ type: 'text', text: content }] : [];
}

const TEXT_DATA = /^data:text\/[^,]{0,200};base64,/i;

/** By URL, or a text. */
function isStrangeFile(part: Json): boolean {
  const file = fileIn(part);
  if (file === null) return false;
  const { file_data: data, file_url: url } = file;
  return typeof data === 'string' ? TEXT_DATA.test(data) : typeof url === 'string';
}

function fileIn(part: Json): JsonObject | null {
  return isJsonObject(part) && part['type'] === 'file' && isJsonObject(part['file']) ? part['file'] : null;
}

function fitContent(content: Json, at: string): Json {
  if (!Array.isArray(content) || !content.some(isStrangeFile)) return content;
  return content.map((part, index) => (isStrangeFile(part) ? asText(part, `${at}[${index}]`) : part));
}

/** A file of text as that text, under its name. */
function asText(part: Json, at: string): Json {
  const { filename, file_data: data } = fileIn(part) ?? {};
  if (typeof data !== 'string') throw new Unsupported(at, 'Files by URL are not supported.');
  const bytes = Buffer.from(data.slice(data.indexOf(',') + 1), 'base64');
  if (!isUtf8(bytes)) throw new Unsupported(at, 'A file of text must be in UTF-8.');
  const title = typeof filename === 'string' && filename !== '' ? `${filename}\n\n` : '';
  const { file: _, ...rest } = part as JsonObject;
  return { ...rest, type: 'text', text: `${title}${bytes.toString()}` };
}
