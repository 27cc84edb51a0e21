import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { utf8Length } from '../../core/text.ts';
import type { Usage } from '../../core/usage.ts';
import { readUsage } from './chunk.ts';
import type { Output } from './output.ts';

/** The usage of a response, which is that of a chat under other names. */
export function readResponseUsage(usage: JsonObject): Usage {
  return readUsage({
    prompt_tokens: usage['input_tokens'] ?? null,
    completion_tokens: usage['output_tokens'] ?? null,
    total_tokens: usage['total_tokens'] ?? null,
    prompt_tokens_details: usage['input_tokens_details'] ?? null,
    completion_tokens_details: usage['output_tokens_details'] ?? null,
  });
}

/** What a whole response brings: texts, refusals, calls with their arguments, reasoning. */
export function outputOfResponse(response: JsonObject): Output {
  const output: Output = { characters: 0, reasoning: 0 };
  const items = response['output'];
  if (!Array.isArray(items)) return output;
  for (const item of items) if (isJsonObject(item)) addItem(item, output);
  return output;
}

function addItem(item: JsonObject, output: Output): void {
  if (item['type'] === 'reasoning') {
    // The summary is what clients see; where the thoughts themselves are told, it is of them.
    const size = Math.max(sizeOfTexts(item['content']), sizeOfTexts(item['summary']));
    output.reasoning += size;
    output.characters += size;
    return;
  }
  for (const name of ['name', 'arguments', 'input', 'code']) output.characters += sizeOf(item[name]);
  output.characters += sizeOfTexts(item['content']);
}

function sizeOfTexts(parts: Json | undefined): number {
  if (!Array.isArray(parts)) return 0;
  let size = 0;
  for (const part of parts) {
    if (isJsonObject(part)) size += sizeOf(part['text']) + sizeOf(part['refusal']);
  }
  return size;
}

function sizeOf(value: Json | undefined): number {
  return typeof value === 'string' ? utf8Length(value) : 0;
}
