import type { Conversation } from '../chat/conversation.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { Drops } from './adapter.ts';

/** Values that say what holds without them: leaving them out changes nothing, and is not worth a word. */
const DEFAULTS: Readonly<Record<string, readonly Json[]>> = {
  temperature: [1],
  top_p: [1],
  n: [1],
  presence_penalty: [0],
  frequency_penalty: [0],
  logprobs: [false],
  top_logprobs: [0],
  parallel_tool_calls: [true],
  service_tier: ['auto'],
  verbosity: ['medium'],
  store: [false],
  prompt_cache_retention: ['in_memory', 'in-memory'],
};

/** Does a parameter of OpenAI's only say what holds without it? */
export function statesDefault(name: string, value: Json): boolean {
  return Object.hasOwn(DEFAULTS, name) && (DEFAULTS[name] as readonly Json[]).includes(value);
}

/** The same of a parameter that no conversation has a place for: what is turned off there is not missed. */
export function isUnasked(name: string, value: Json): boolean {
  return value === false || statesDefault(name, value);
}

/** How closely a picture is to be looked at; named as dropped where that cannot be said. `isUsual`: it is done all the same. */
export function dropDetail(
  { turns }: Pick<Conversation, 'turns'>,
  isUsual: (detail: string) => boolean,
  drops: Drops,
): void {
  for (const turn of turns) {
    if (turn.role !== 'user') continue;
    for (const part of [...turn.results.flatMap(({ parts }) => parts), ...turn.parts]) {
      if (part.kind !== 'image' || part.detail === null || part.detail === 'auto') continue;
      if (!isUsual(part.detail)) drops.drop('image_url.detail', 'How closely to look cannot be chosen.');
    }
  }
}

/** Of the two names for who asks, only one is sent on. */
export function dropSecondUser({ user, safety_identifier: id }: JsonObject, drops: Drops): void {
  const isSecond = typeof id === 'string' && id !== '' && typeof user === 'string' && user !== '';
  if (isSecond && user !== id) drops.drop('user', "The parameter 'safety_identifier' takes its place.");
}

/** The one that is sent on. */
export function nameOfUser({ safety_identifier: id }: JsonObject): 'safety_identifier' | 'user' {
  return typeof id === 'string' && id !== '' ? 'safety_identifier' : 'user';
}

/** Of the members of an object. */
export function countOf(value: Json | undefined): number {
  return isJsonObject(value) ? Object.keys(value).length : 0;
}
