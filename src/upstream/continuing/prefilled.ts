import type { Transcript } from '../../chat/transcript.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { JsonBody } from '../../core/json-body.ts';
import type { Target } from '../registry.ts';
import type { Continuing } from './continuing.ts';

/** Where a chat says how long its answer may be. */
const LIMITS = ['max_tokens', 'max_completion_tokens'];

/** Does the target go on from the beginning of an answer, and is there one to go on from? */
export function mayPrefill({ settings, capabilities }: Target, told: Transcript): boolean {
  return (settings.prefill ?? capabilities.prefill) && isWholeText(told.text.trimEnd());
}

/** What a host holds an answer's form by, as OpenAI, vLLM and those like it call it. */
const FORMS = [
  'response_format',
  'structured_outputs',
  'grammar',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
];

/** Is the answer held to a form? Hosts begin that anew with what they write, and would make two beginnings of one document. */
export function isHeldToForm(chat: JsonObject, overrides: JsonObject): boolean {
  return FORMS.some((name) => {
    const form = Object.hasOwn(overrides, name) ? overrides[name] : chat[name];
    return form != null && !(isJsonObject(form) && form['type'] === 'text');
  });
}

/** Of a letter that takes two units, one alone cannot be sent. */
function isWholeText(text: string): boolean {
  return text !== '' && text.isWellFormed();
}

/**
 * The chat with what was told as the beginning of its answer, which may be that much shorter. Without the white space at its end: many a model refuses it,
 * and all write it again. Null: it ends in a beginning of the client's own that cannot be lengthened.
 */
export function prefilled(chat: JsonBody, { told, toldTokens }: Continuing): JsonBody | null {
  const messages = chat.value['messages'];
  if (!Array.isArray(messages)) return null;
  const last = messages.at(-1);
  const text = told.text.trimEnd();
  const changes = new Map<string, Json>();
  if (isJsonObject(last) && last['role'] === 'assistant') {
    if (typeof last['content'] !== 'string' || last['tool_calls'] != null) return null;
    changes.set('messages', [...messages.slice(0, -1), { ...last, content: last['content'] + text }]);
  } else changes.set('messages', [...messages, { role: 'assistant', content: text }]);
  for (const [name, most] of Object.entries(shortened(chat.value, toldTokens))) changes.set(name, most);
  return chat.changed(changes);
}

/** Of these parameters, those that say how long an answer may be, with what is left of it. */
export function shortened(params: JsonObject, toldTokens: number): JsonObject {
  const left: JsonObject = {};
  for (const name of LIMITS) {
    const most = params[name];
    if (typeof most === 'number') left[name] = Math.max(1, most - toldTokens);
  }
  return left;
}
