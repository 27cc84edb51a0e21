import { isJsonObject, type Json } from '../../core/json.ts';
import { type Ask, Drops, type Prepared, Unsupported } from '../adapter.ts';
import type { HostQuirks } from '../presets.ts';
import { changedBody } from '../printed-body.ts';
import { statesDefault } from '../unasked.ts';
import { nearestEffort, readEffort } from './effort.ts';
import { checkInput } from './input.ts';
import { fitMessages, fitTools } from './messages.ts';
import { chatChanges } from './request.ts';

/** A chat as it is sent to a host, and what of it the target cannot take. */
export type FittedBody = Pick<Prepared, 'body' | 'printing' | 'dropped'>;

/** What a request says of a parameter once the target's overrides are in. */
export type ReadParam = (name: string) => Json | undefined;

/** A parameter: the target's word where it has one, else the client's. Null and undefined: there is none. */
export function paramOf(
  { body, overrideParams }: Pick<Ask, 'body' | 'overrideParams'>,
  name: string,
): Json | undefined {
  if (Object.hasOwn(overrideParams, name)) return overrideParams[name];
  return Object.hasOwn(body.value, name) ? body.value[name] : undefined;
}

/** The client's body, changed only where the target, its host or its model wants it otherwise; all else stays byte for byte. */
export function fitChat(ask: Ask, quirks: HostQuirks): FittedBody {
  const { body, streaming, model, overrideParams, capabilities } = ask;
  const param = (name: string) => paramOf(ask, name);
  const changes = chatChanges(body, streaming, { model, overrideParams, quirks });
  const drops = new Drops(ask.strict);
  const messages = param('messages');
  if (Array.isArray(messages)) {
    checkInput(messages, capabilities);
    const fitted = fitMessages(messages, quirks, ask.recall);
    if (fitted !== null) changes.set('messages', fitted);
  }
  checkFormat(param, ask);
  fitToolChoice(param, ask, quirks, drops, changes);
  const effort = fitEffort(param, ask, quirks, drops, changes);
  dropRefused(param, ask, quirks, effort, drops, changes);
  nameLimit(param, ask, quirks, changes);
  boundLimit(param, ask, changes);
  nameSeed(param, quirks, changes);
  if (ask.goesOn === true) sayThatItGoesOn(changes.get('messages') ?? messages, quirks, changes);
  return { ...changedBody(ask, changes), dropped: inOrder(drops.names, ask) };
}

function checkFormat(param: ReadParam, { capabilities }: Ask): void {
  if (capabilities.jsonSchema) return;
  const format = param('response_format');
  if (isJsonObject(format) && format['type'] === 'json_schema')
    throw new Unsupported('response_format', 'Answers by a JSON schema are not supported.');
}

/**
 * Where a model cannot be made to call a tool it is left free to, and a tool that was named is the only one it is given. Besides, what the
 * host does not take is left out of the tools.
 */
function fitToolChoice(
  param: ReadParam,
  { capabilities }: Ask,
  quirks: HostQuirks,
  drops: Drops,
  changes: Map<string, Json>,
): void {
  const tools = param('tools');
  if (!Array.isArray(tools)) return;
  let given = fitTools(tools, quirks);
  const choice = param('tool_choice');
  if (!capabilities.forcedTools) {
    const allowed = isJsonObject(choice) ? choice['allowed_tools'] : null;
    const name = nameOf(choice);
    if (isJsonObject(choice) && isJsonObject(allowed) && allowed['mode'] === 'required') {
      drops.drop('tool_choice', NOT_FORCED);
      changes.set('tool_choice', { ...choice, allowed_tools: { ...allowed, mode: 'auto' } });
    } else if (choice === 'required' || name !== null) {
      drops.drop('tool_choice', NOT_FORCED);
      changes.set('tool_choice', 'auto');
      const only = (given ?? tools).filter((tool) => nameOf(tool) === name);
      if (name !== null && only.length > 0) given = only;
    }
  }
  if (given !== null) changes.set('tools', given);
}

const NOT_FORCED = 'The model cannot be made to call a tool.';

/** Of a tool, or of the one that is chosen; null: it has none. */
function nameOf(tool: Json | undefined): string | null {
  if (!isJsonObject(tool)) return null;
  const inner = tool['function'] ?? tool['custom'];
  return isJsonObject(inner) && typeof inner['name'] === 'string' ? inner['name'] : null;
}

/** Returns the effort that is sent; null: none is. */
function fitEffort(
  param: ReadParam,
  { capabilities }: Ask,
  quirks: HostQuirks,
  drops: Drops,
  changes: Map<string, Json>,
): string | null {
  const value = param('reasoning_effort');
  const asked = value == null ? null : readEffort(value);
  let effort = asked === null ? null : nearestEffort(asked, capabilities);
  if (quirks.toolsTrap && capabilities.toolsOnlyAtNoEffort && hasTools(param)) {
    if (!(capabilities.efforts ?? ['none']).includes('none'))
      throw new Unsupported('tools', 'Tools are not supported in chat completions of this model.');
    effort = 'none';
    if (value == null) changes.set('reasoning_effort', effort);
  }
  if (asked === null || effort === asked) return effort ?? (typeof value === 'string' ? value : null);
  drops.drop('reasoning_effort', `The reasoning effort '${asked}' is not supported.`);
  changes.set('reasoning_effort', effort);
  return effort;
}

function hasTools(param: ReadParam): boolean {
  return [param('tools'), param('functions')].some((tools) => Array.isArray(tools) && tools.length > 0);
}

/** Parameters whose loss would change what is asked for. */
const MEANINGFUL: ReadonlySet<string> = new Set(['n', 'modalities', 'audio', 'response_format', 'tools']);

function dropRefused(
  param: ReadParam,
  { capabilities }: Ask,
  quirks: HostQuirks,
  effort: string | null,
  drops: Drops,
  changes: Map<string, Json>,
): void {
  if (quirks.refuses.size === 0 && capabilities.refuses.size === 0) return;
  const drop = (name: string) => {
    const value = param(name);
    if (value === undefined) return;
    changes.set(name, null);
    if (value === null || statesDefault(name, value)) return;
    if (MEANINGFUL.has(name)) throw new Unsupported(name, `The parameter '${name}' is not supported.`);
    drops.drop(name);
  };
  for (const name of quirks.refuses) drop(name);
  const atNoEffort = (effort ?? capabilities.defaultEffort) === 'none';
  for (const name of capabilities.refuses) {
    if (atNoEffort && capabilities.takesAtNoEffort.has(name)) continue;
    drop(name);
  }
}

/** `max_tokens` and `max_completion_tokens` are one thing under two names, of which the newer one counts. */
function nameLimit(
  param: ReadParam,
  { capabilities }: Ask,
  quirks: HostQuirks,
  changes: Map<string, Json>,
): void {
  if (quirks.maxTokens === 'max_tokens') {
    const newer = param('max_completion_tokens');
    if (newer === undefined) return;
    changes.set('max_completion_tokens', null);
    if (newer !== null) changes.set('max_tokens', newer);
  } else if (capabilities.maxCompletionTokens) {
    const older = param('max_tokens');
    if (older === undefined) return;
    changes.set('max_tokens', null);
    if (older !== null && param('max_completion_tokens') == null) changes.set('max_completion_tokens', older);
  }
}

const LIMITS = ['max_tokens', 'max_completion_tokens'];

/** No answer is longer than the model can write. */
function boundLimit(
  param: ReadParam,
  { capabilities: { maxOutput } }: Ask,
  changes: Map<string, Json>,
): void {
  if (maxOutput === null) return;
  for (const name of LIMITS) {
    const most = changes.has(name) ? changes.get(name) : param(name);
    if (typeof most === 'number' && most > maxOutput) changes.set(name, maxOutput);
  }
}

function nameSeed(param: ReadParam, { seed: name }: HostQuirks, changes: Map<string, Json>): void {
  if (name === 'seed') return;
  const seed = param('seed');
  if (seed === undefined) return;
  changes.set('seed', null);
  changes.set(name, seed);
}

/** vLLM begins a message of its own unless it is told not to. */
function sayThatItGoesOn(
  messages: Json | undefined,
  { goesOnBy }: HostQuirks,
  changes: Map<string, Json>,
): void {
  if (goesOnBy === 'parameters') {
    changes.set('add_generation_prompt', false);
    changes.set('continue_final_message', true);
  } else if (goesOnBy === 'prefix' && Array.isArray(messages)) {
    const last = messages.at(-1);
    if (isJsonObject(last)) changes.set('messages', [...messages.slice(0, -1), { ...last, prefix: true }]);
  }
}

/** By where the client names them; what only the target's overrides name comes last. */
export function inOrder(names: readonly string[], { body }: Pick<Ask, 'body'>): readonly string[] {
  if (names.length < 2) return names;
  const order = Object.keys(body.value);
  const place = (name: string) => {
    const at = order.indexOf(name);
    return at < 0 ? order.length : at;
  };
  return [...names].sort((a, b) => place(a) - place(b));
}
