import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { Changes } from '../core/json-body.ts';
import {
  IMAGE_TOKENS,
  NAMED_FILE_TOKENS,
  tokensOfBase64,
  tokensOfJson,
  tokensOfText,
} from '../core/tokens.ts';
import { chooseMarkers, type MarkerTtl, type Place } from './cache-places.ts';

/** Blocks that may carry a marker, by the vendor's types. Thoughts may not. */
const MARKABLE_BLOCKS = new Set([
  'text',
  'image',
  'document',
  'search_result',
  'tool_use',
  'tool_result',
  'server_tool_use',
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'container_upload',
]);

/**
 * Places markers for the prompt cache in a request in Anthropic's own words; see `chooseMarkers`. Returns its top-level members that
 * change, with the markers in them; none if there is nothing to mark. What it is given is not touched. Whatever is not well-formed is passed
 * over: the provider says what is wrong with it.
 */
export function markMessages(body: JsonObject): Changes {
  const { tools, system, messages } = body;
  const places: Place[] = [];
  /** By the index of the place, how to put a marker there. */
  const marks: ((control: JsonObject) => void)[] = [];
  const changes = new Changed(body);
  (Array.isArray(tools) ? tools : []).forEach((tool, index) => {
    // What is loaded later is not in the prompt, and a marker there is a 400.
    if (isDeferred(tool)) places.push({ ...placeOf(tool, 'tool', -1, null), tokens: 0, markable: false });
    else places.push({ ...placeOf(tool, 'tool', -1, null), markable: isJsonObject(tool) });
    marks.push((control) => changes.mark('tools', [index], control));
  });
  listOf(system).forEach((block, index) => {
    places.push(placeOf(block, 'system', -1, null));
    marks.push((control) => changes.mark('system', [index], control));
  });
  let turn = -1;
  let before: Json | undefined;
  for (const [at, message] of (Array.isArray(messages) ? messages : []).entries()) {
    const { role, content } = isJsonObject(message) ? message : {};
    if (role !== before || turn < 0) turn++;
    before = role;
    const known = role === 'user' || role === 'assistant' ? role : null;
    listOf(content).forEach((block, index) => {
      const isResult = isJsonObject(block) && block['type'] === 'tool_result';
      const kind = known !== 'user' ? 'other' : isResult ? 'result' : 'content';
      places.push(placeOf(block, kind, turn, known));
      marks.push((control) => changes.mark('messages', [at, index], control));
    });
  }
  const control = body['cache_control'];
  const whole = isJsonObject(control) ? { hour: isHour(control) } : null;
  for (const [index, ttl] of chooseMarkers(places, whole)) marks[index]?.(controlOf(ttl));
  return changes.members;
}

/** Blocks; a text stands for one. */
function listOf(content: Json | undefined): readonly Json[] {
  if (typeof content === 'string') return [textBlock(content)];
  return Array.isArray(content) ? content : [];
}

function textBlock(text: string): JsonObject {
  return { type: 'text', text };
}

function controlOf(ttl: MarkerTtl): JsonObject {
  return ttl === null ? { type: 'ephemeral' } : { type: 'ephemeral', ttl };
}

function isHour(control: JsonObject): boolean {
  return control['ttl'] === '1h';
}

function isDeferred(tool: Json): boolean {
  if (!isJsonObject(tool)) return false;
  const usual = tool['default_config'];
  return tool['defer_loading'] === true || (isJsonObject(usual) && usual['defer_loading'] === true);
}

function placeOf(block: Json, kind: Place['kind'], turn: number, role: Place['role']): Place {
  const controls = controlsIn(block);
  return {
    kind,
    turn,
    role,
    tokens: tokensOfBlock(block),
    markable: isMarkable(block),
    marks: controls.length,
    hour: controls.some(isHour),
  };
}

function isMarkable(block: Json): boolean {
  if (!isJsonObject(block)) return false;
  const { type, text } = block;
  if (type === 'text') return typeof text === 'string' && text.trim() !== '';
  return typeof type === 'string' && MARKABLE_BLOCKS.has(type);
}

/** Markers on a block, on what it holds, and on what that holds: results of tools hold blocks, and documents sources of blocks. */
function controlsIn(block: Json, depth = 3): JsonObject[] {
  if (!isJsonObject(block)) return [];
  const { cache_control: own, content, source } = block;
  const controls = isJsonObject(own) ? [own] : [];
  if (depth === 0) return controls;
  const inner = [...(Array.isArray(content) ? content : []), ...(source === undefined ? [] : [source])];
  return [...controls, ...inner.flatMap((one) => controlsIn(one, depth - 1))];
}

function tokensOfBlock(block: Json): number {
  if (!isJsonObject(block)) return tokensOfJson(block);
  const { type, text, source, content } = block;
  switch (type) {
    case 'text':
      return typeof text === 'string' ? tokensOfText(text) : 0;
    case 'image':
      return IMAGE_TOKENS;
    case 'document':
      return isJsonObject(source) ? tokensOfSource(source) : NAMED_FILE_TOKENS;
    case 'tool_result':
      return listOf(content).reduce<number>((sum, one) => sum + tokensOfBlock(one), 0);
    default:
      return tokensOfJson(block);
  }
}

function tokensOfSource({ type, media_type: mediaType, data, content }: JsonObject): number {
  if (type === 'content') return listOf(content).reduce<number>((sum, one) => sum + tokensOfBlock(one), 0);
  if (typeof data !== 'string') return NAMED_FILE_TOKENS;
  if (type === 'text') return tokensOfText(data);
  return tokensOfBase64(data.length, typeof mediaType === 'string' && mediaType.startsWith('text/'));
}

/** Members of a body with markers in them: copies of what leads to a marker, and the rest as it is. */
class Changed {
  readonly members = new Map<string, Json>();
  readonly #body: JsonObject;

  constructor(body: JsonObject) {
    this.#body = body;
  }

  /** `path`: of a tool or a system block its index; of a block of a message the message's, then its own. */
  mark(member: 'tools' | 'system' | 'messages', path: readonly number[], control: JsonObject): void {
    this.members.set(member, marked(this.members.get(member) ?? this.#body[member] ?? null, path, control));
  }
}

function marked(list: Json, [index, ...rest]: readonly number[], control: JsonObject): Json {
  return listOf(list).map((one, at) => {
    if (at !== index || !isJsonObject(one)) return one;
    if (rest.length === 0) return { ...one, cache_control: control };
    return { ...one, content: marked(one['content'] ?? null, rest, control) };
  });
}
