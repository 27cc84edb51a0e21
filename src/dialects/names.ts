import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';

/** By chat's names: the client's, of which the first that was sent is meant, else the first. */
export type Names = Readonly<Record<string, readonly string[]>>;

/** Of parts of the request deep inside, which are not looked for. */
const DEEP: ReadonlySet<string> = new Set(['cache_control', 'detail']);

/** A parameter as a client calls it who does not speak chat; null: the client sent nothing of the kind. */
export function clientsName(param: string, request: JsonObject, names: Names): string | null {
  const choices = Object.hasOwn(names, param) ? names[param] : undefined;
  const [first = param] = choices ?? [];
  const name =
    choices?.find((one) => wasSent(one, request)) ?? first.replace(/^(tools\[\d+\])\.function\b/, '$1');
  return DEEP.has(name) || wasSent(name, request) ? name : null;
}

function wasSent(name: string, request: JsonObject): boolean {
  // Beyond a list, it stands somewhere in one of its members.
  const [plain = ''] = name.split('[');
  let value: Json | undefined = request;
  for (const key of plain.split('.')) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return false;
    value = value[key];
  }
  return value !== undefined && value !== null;
}

/**
 * Where a message of a chat stands in the client's list, such as `[2].content[0]`, if each of the list became one message after `before` others;
 * null: nobody knows.
 */
export function placeInList(
  param: string,
  list: Json | undefined,
  before: number,
  messages: Json | undefined,
): string | null {
  const [, message, part] = /^messages\[(\d+)\](?:\.content\[(\d+)\])?/.exec(param) ?? [];
  const at = Number(message ?? Number.NaN) - before;
  if (!Array.isArray(list) || !Array.isArray(messages)) return null;
  if (messages.length - before !== list.length || !(at >= 0 && at < list.length)) return null;
  const lengths = [list[at], messages[at + before]].map((one) => {
    const content = isJsonObject(one) ? one['content'] : null;
    return Array.isArray(content) ? content.length : null;
  });
  // Some parts become several, or none.
  const isSame = part !== undefined && lengths[0] !== null && lengths[0] === lengths[1];
  return isSame ? `[${at}].content[${part}]` : `[${at}]`;
}
