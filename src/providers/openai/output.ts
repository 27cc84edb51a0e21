import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { utf8Length } from '../../core/text.ts';

/** How much a model has written: UTF-8 bytes of its texts (see `utf8Length`), which is characters where these are ASCII. */
export interface Output {
  characters: number;
  /** Of those, what was reasoning. */
  reasoning: number;
}

/** Nobody's text lies deeper, and an event may be nested a million deep. */
const DEEPEST = 8;

/**
 * Does this delta or message bring something? Any member but the role with something in it does: fields that no one has invented yet are
 * content too. How much it brings is added to `output`.
 */
export function bringsSomething(delta: JsonObject, output: Output): boolean {
  let brings = false;
  let reasoning = 0;
  for (const name in delta) {
    if (name === 'role') continue;
    const value = delta[name];
    if (value === null || value === undefined || value === '' || value === false) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    brings = true;
    // The two that nearly all events bring.
    if (name === 'content' && typeof value === 'string') output.characters += utf8Length(value);
    else if (name === 'tool_calls' && Array.isArray(value)) output.characters += sizeOfCalls(value);
    else if (isReasoning(name)) {
      // Some hosts send the same thought under two or three names.
      reasoning = Math.max(reasoning, sizeOf(name, value, DEEPEST));
    } else output.characters += sizeOf(name, value, DEEPEST);
  }
  output.characters += reasoning;
  output.reasoning += reasoning;
  return brings;
}

/** What a plain answer brings, over all its choices. */
export function outputOf(answer: JsonObject): Output {
  const output: Output = { characters: 0, reasoning: 0 };
  const choices = answer['choices'];
  if (!Array.isArray(choices)) return output;
  for (const choice of choices) {
    const message = isJsonObject(choice) ? choice['message'] : null;
    if (isJsonObject(message)) bringsSomething(message, output);
  }
  return output;
}

/** DeepSeek's name, that of Groq and newer vLLM, and OpenRouter's list beside it. */
function isReasoning(name: string): boolean {
  return name === 'reasoning_content' || name === 'reasoning' || name === 'reasoning_details';
}

function sizeOfCalls(calls: readonly Json[]): number {
  let size = 0;
  for (const call of calls) {
    const made = isJsonObject(call) ? call['function'] : null;
    if (isJsonObject(made) && typeof made['arguments'] === 'string') {
      size += utf8Length(made['arguments']);
      if (typeof made['name'] === 'string') size += utf8Length(made['name']);
    } else size += sizeOf('', call, DEEPEST);
  }
  return size;
}

/** Of a member's texts: tool calls, parts of content, whatever comes to be. */
function sizeOf(name: string, value: Json, levels: number): number {
  if (!isText(name)) return 0;
  if (typeof value === 'string') return utf8Length(value);
  if (levels === 0) return 0;
  let size = 0;
  if (Array.isArray(value)) {
    for (const inner of value) size += sizeOf(name, inner, levels - 1);
  } else if (isJsonObject(value)) {
    for (const inner in value) size += sizeOf(inner, value[inner] as Json, levels - 1);
  }
  return size;
}

/** Left out is what no model wrote as text: names for things, pictures and sound, and where a citation leads. */
function isText(name: string): boolean {
  switch (name) {
    case 'id':
    case 'type':
    case 'data':
    case 'url':
    case 'format':
    case 'signature':
    case 'annotations':
    case 'citations':
      return false;
  }
  return true;
}
