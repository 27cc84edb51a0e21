import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { utf8Length } from '../../core/text.ts';
import type { Output } from '../openai/output.ts';

/** What a whole message brings. */
export function outputOf({ content }: JsonObject): Output {
  const output: Output = { characters: 0, reasoning: 0 };
  if (Array.isArray(content)) for (const block of content) addBlock(block, output);
  return output;
}

/** What a block, or the beginning of one, brings. True: something. What Anthropic's own tools found is not written by the model. */
export function addBlock(block: Json | undefined, output: Output): boolean {
  if (!isJsonObject(block)) return false;
  const { type, text, thinking, name, input } = block;
  switch (type) {
    case 'text':
      return add(text, output);
    case 'thinking':
      return addReasoning(thinking, output);
    case 'tool_use':
    case 'server_tool_use':
      add(name, output);
      if (isJsonObject(input) && Object.keys(input).length > 0) add(printed(input), output);
  }
  return true;
}

/** What a piece of a block brings. True: something. */
export function addDelta(delta: JsonObject, output: Output): boolean {
  switch (delta['type']) {
    case 'text_delta':
      return add(delta['text'], output);
    case 'input_json_delta':
      return add(delta['partial_json'], output);
    case 'thinking_delta':
      return addReasoning(delta['thinking'], output);
  }
  return true;
}

function add(text: Json | undefined, output: Output): boolean {
  if (typeof text !== 'string') return false;
  output.characters += utf8Length(text);
  return text !== '';
}

function addReasoning(text: Json | undefined, output: Output): boolean {
  if (typeof text !== 'string') return false;
  const size = utf8Length(text);
  output.characters += size;
  output.reasoning += size;
  return text !== '';
}

/** What is nested too deeply to be printed counts for nothing. */
function printed(value: JsonObject): string {
  try {
    return JSON.stringify(value);
  } catch {
    return '';
  }
}
