import type { ModelCapabilities } from '../../capabilities/capabilities.ts';
import { isJsonObject, type Json } from '../../core/json.ts';
import { Unsupported } from '../adapter.ts';

/** What a part of content is, by its type. */
const KIND_OF_PART: ReadonlyMap<Json | undefined, 'image' | 'audio' | 'file'> = new Map([
  ['image_url', 'image'],
  ['input_audio', 'audio'],
  ['file', 'file'],
] as const);

const SENTENCES = {
  image: 'Images are not supported.',
  audio: 'Audio input is not supported.',
  file: 'Files are not supported.',
};

/** Throws `Unsupported` for the first part that the model is known not to read. */
export function checkInput(messages: readonly Json[], { input }: Pick<ModelCapabilities, 'input'>): void {
  if (input === null) return;
  for (const [at, message] of messages.entries()) {
    const content = isJsonObject(message) ? message['content'] : null;
    if (!Array.isArray(content)) continue;
    for (const [index, part] of content.entries()) {
      const kind = isJsonObject(part) ? KIND_OF_PART.get(part['type']) : undefined;
      if (kind !== undefined && !input.has(kind))
        throw new Unsupported(`messages[${at}].content[${index}]`, SENTENCES[kind]);
    }
  }
}
