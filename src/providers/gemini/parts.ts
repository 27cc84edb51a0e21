import type { ChoiceWriter } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { CallReader } from './calls.ts';

/**
 * What came of a part.
 * - `told`: the choice has been told, or there was nothing in it
 * - `unknown`: it brings something that has no place in an answer
 * - `damaged`: it is not what it should be
 */
export type PartOutcome = 'told' | 'unknown' | 'damaged' | { broken: string };

/** What there is in a part besides the one thing that it brings, and what brings nothing to a client. */
const BESIDE = new Set([
  'thought',
  'thoughtSignature',
  'videoMetadata',
  'partMetadata',
  'mediaResolution',
  'mediaProcessing',
  'speechMetadata',
  'toolCall',
  'toolResponse',
]);

/** Tells a choice one part of a candidate's content. */
export function tellPart(part: Json, choice: ChoiceWriter, calls: CallReader): PartOutcome {
  if (!isJsonObject(part)) return 'damaged';
  const { text, thought, functionCall: call, inlineData: blob } = part;
  const signature = textIn(part['thoughtSignature']);
  if (call !== undefined && call !== null) {
    if (!isJsonObject(call)) return 'damaged';
    const broken = calls.read(call, signature ?? textIn(call['thoughtSignature']));
    return broken === null ? 'told' : { broken };
  }
  if (signature !== null) choice.thoughtSignature(signature);
  if (text !== undefined && text !== null) {
    if (typeof text !== 'string') return 'damaged';
    if (thought === true) choice.reasoning(text);
    else choice.text(text);
    return 'told';
  }
  const shown = isJsonObject(blob) ? mediaAsText(blob) : codeAsText(part);
  // A picture among the thoughts is a draft of one to come.
  if (shown !== null && thought !== true) choice.text(shown);
  else if (shown === null && Object.keys(part).some((name) => !BESIDE.has(name))) return 'unknown';
  return 'told';
}

function textIn(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Pictures and sound have no place in a message of OpenAI's: they come as links that hold them, in Markdown. */
function mediaAsText({ mimeType, data }: JsonObject): string | null {
  if (typeof mimeType !== 'string' || typeof data !== 'string') return null;
  if (!/^[a-z]+\/[a-z0-9.+-]+(?:;[^\s()]*)?$/i.test(mimeType) || !/^[A-Za-z0-9+/_=-]*$/.test(data))
    return null;
  const kind = mimeType.slice(0, mimeType.indexOf('/')).toLowerCase();
  return `${kind === 'image' ? '!' : ''}[${kind}](data:${mimeType};base64,${data})`;
}

/** What Google ran by itself, and what came of it, as blocks of code. */
function codeAsText({
  executableCode: code,
  codeExecutionResult: result,
  fileData: file,
}: JsonObject): string | null {
  if (isJsonObject(code) && typeof code['code'] === 'string') {
    const language = typeof code['language'] === 'string' ? code['language'].toLowerCase() : '';
    return fenced(/^[a-z]{1,20}$/.test(language) ? language : '', code['code']);
  }
  if (isJsonObject(result) && typeof result['output'] === 'string') return fenced('', result['output']);
  if (isJsonObject(file) && typeof file['fileUri'] === 'string')
    return `[file](${encodeURI(file['fileUri'])})`;
  return null;
}

function fenced(language: string, text: string): string {
  return `\n\`\`\`${language}\n${text.replace(/\n$/, '')}\n\`\`\`\n`;
}
