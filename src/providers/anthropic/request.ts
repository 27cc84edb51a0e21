import { markConversation } from '../../chat/cache-markers.ts';
import type { Conversation, ResponseFormat, TextPart } from '../../chat/conversation.ts';
import { readConversation } from '../../chat/read-conversation.ts';
import { readCache } from '../../chat/read-parts.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, asked, Drops, Unsupported } from '../adapter.ts';
import { inOrder } from '../openai/chat-body.ts';
import { countOf, dropDetail, dropSecondUser, isUnasked, nameOfUser, statesDefault } from '../unasked.ts';
import { blocksOf, contentOf } from './content.ts';
import { control, Marks } from './marks.ts';
import { closedSchema } from './output-schema.ts';
import { placeSystem } from './placing.ts';
import { sampling } from './sampling.ts';
import { planThinking, readWish, wishOf } from './thinking.ts';
import { ToolIds } from './tool-ids.ts';
import { planTools } from './tools.ts';
import { lacksThinking, messagesOf } from './turns.ts';

/** For models of which it is not known how much they can write: all Claude models since 4 write this much, by Anthropic's list. Tokens. */
const USUAL_OUTPUT = 32_000;

const JSON_ONLY = 'Answer with one JSON object and nothing else: no text before or after it, no code fence.';

/** Members of Anthropic's requests that clients may send through chat as they are. */
const ANTHROPICS_OWN = new Set(['inference_geo', 'container']);

/** A chat as a request for Anthropic's Messages. Throws `Unsupported`. */
export function messagesRequest(ask: Ask): { body: JsonObject; dropped: readonly string[] } {
  const { capabilities } = ask;
  const drops = new Drops(ask.strict);
  const request = asked(ask);
  const conversation = readConversation(request, ask.recall);
  refuseWhatChangesTheMeaning(conversation);
  if (ask.cacheMarkers) markConversation(conversation);
  const marks = new Marks();
  const instruction: string[] = [];
  const format = formatOf(conversation.responseFormat, capabilities.jsonSchema, instruction, drops);
  const { system, turns } = placeSystem(conversation, capabilities.laterSystem);
  const last = turns.at(-1);
  if (last === undefined) throw new Unsupported('messages', 'There must be a message.');
  const isPrefill = last.role === 'assistant' && last.calls.length === 0;
  if (isPrefill && !capabilities.prefill) {
    throw new Unsupported('messages', 'A conversation that ends with an assistant message is not supported.');
  }
  const tools = planTools(conversation, turns, { capabilities, marks, drops });
  const maxTokens = mostTokens(conversation.maxTokens, capabilities.maxOutput);
  const { thinking, effort, thinks } = planThinking(readWish(conversation), {
    capabilities,
    maxTokens,
    forcesTool: tools.forces,
    lacksThinking: isPrefill || lacksThinking(turns),
    drops,
  });
  const body: JsonObject = { model: ask.model, max_tokens: maxTokens };
  const content = { input: capabilities.input, marks };
  const prompt = systemOf(system, instruction, content);
  if (prompt !== null) body['system'] = prompt;
  body['messages'] = messagesOf(turns, { ...content, ids: new ToolIds(), thinks });
  if (tools.tools.length > 0) body['tools'] = tools.tools;
  if (tools.choice !== null) body['tool_choice'] = tools.choice;
  if (thinking !== null) body['thinking'] = thinking;
  if (effort !== null || format !== null) {
    body['output_config'] = {
      ...(effort === null ? {} : { effort }),
      ...(format === null ? {} : { format }),
    };
  }
  Object.assign(body, sampling(conversation, { capabilities, thinks, drops }));
  addSmallThings(body, conversation, { ask, request, drops });
  const whole = readCache(conversation.others);
  if (whole !== null) body['cache_control'] = control(whole);
  marks.settle(whole, drops);
  if (ask.streaming) body['stream'] = true;
  return { body, dropped: inOrder(drops.names, ask) };
}

function refuseWhatChangesTheMeaning({ n, others }: Conversation): void {
  if (n > 1) throw new Unsupported('n', 'Only one choice (n = 1) is supported.');
  if ('functions' in others) {
    throw new Unsupported('functions', "Only 'tools' are supported, which took the place of 'functions'.");
  }
  const { modalities } = others;
  if ('audio' in others || (Array.isArray(modalities) && modalities.includes('audio'))) {
    throw new Unsupported('audio' in others ? 'audio' : 'modalities', 'Audio output is not supported.');
  }
}

/** It must be said, and must not be more than the model can write. */
export function mostTokens(wanted: number | null, maxOutput: number | null): number {
  return Math.min(wanted ?? maxOutput ?? USUAL_OUTPUT, maxOutput ?? Infinity);
}

/** One text, or blocks where one of them bears a mark. Several are joined as Anthropic's own layer for OpenAI's clients does it. */
function systemOf(
  parts: readonly TextPart[],
  instruction: readonly string[],
  rules: Parameters<typeof blocksOf>[1],
): Json | null {
  const blocks = blocksOf(parts, rules);
  for (const text of instruction) blocks.push({ type: 'text', text });
  if (blocks.length === 0) return null;
  if (blocks.some((block) => block['cache_control'] !== undefined)) return blocks;
  return contentOf([{ type: 'text', text: blocks.map(({ text }) => text).join('\n') }]);
}

/** How the answer is to look. What the model cannot be held to is asked for, unless the client insists on it. */
function formatOf(
  format: ResponseFormat,
  takesSchema: boolean,
  instruction: string[],
  drops: Drops,
): JsonObject | null {
  if (format.kind === 'text') return null;
  if (format.kind === 'json') {
    instruction.push(JSON_ONLY);
    return null;
  }
  const closed = takesSchema ? closedSchema(format.schema) : null;
  if (closed?.schema) return { type: 'json_schema', schema: closed.schema };
  const why =
    closed === null
      ? 'Answers by a JSON schema are not supported.'
      : `The answer cannot be held to this JSON schema: ${closed.why}.`;
  if (format.strict === true) throw new Unsupported('response_format', why);
  drops.drop('response_format', why);
  instruction.push(`${JSON_ONLY} It must fit this JSON schema:\n${JSON.stringify(format.schema)}`);
  return null;
}

function addSmallThings(
  body: JsonObject,
  conversation: Conversation,
  { ask, request, drops }: { ask: Ask; request: JsonObject; drops: Drops },
): void {
  const { capabilities } = ask;
  const { stop, user, serviceTier, others } = conversation;
  // A sequence of white space alone is a 400.
  const stops = capabilities.refuses.has('stop') ? [] : stop.filter((text) => text.trim() !== '');
  if (stops.length < stop.length) drops.drop('stop');
  if (stops.length > 0) body['stop_sequences'] = stops;
  if (user !== null) {
    if (isAnonymous(user)) body['metadata'] = { user_id: user };
    else drops.drop(nameOfUser(request), 'A user must be an opaque id of at most 256 characters.');
  }
  dropSecondUser(request, drops);
  // Anthropic's own has no place for anything but the user.
  if (countOf(request['metadata']) > 0) drops.drop('metadata');
  dropDetail(conversation, () => false, drops);
  if (serviceTier !== null) addTier(body, serviceTier, capabilities.refuses, drops);
  if (conversation.seed !== null) drops.drop('seed');
  if (conversation.presencePenalty) drops.drop('presence_penalty');
  if (conversation.frequencyPenalty) drops.drop('frequency_penalty');
  if (conversation.logprobs) drops.drop('logprobs');
  if (conversation.topLogprobs) drops.drop('top_logprobs');
  for (const [name, value] of Object.entries(others)) {
    if (ANTHROPICS_OWN.has(name)) body[name] = value;
    else if (!isDealtWith(name, value)) drops.drop(name);
  }
}

function isDealtWith(name: string, value: Json): boolean {
  switch (name) {
    case 'cache_control':
      return true;
    case 'thinking':
      return isJsonObject(value) && wishOf(value, null) !== null;
    case 'modalities':
      return isText(value);
  }
  return isUnasked(name, value);
}

/** `modalities: ["text"]`. */
function isText(modalities: Json): boolean {
  return Array.isArray(modalities) && modalities.every((one) => one === 'text');
}

const EMAIL = /^\S{1,256}@\S{1,256}$/;
const PHONE = /^\+?[\d\s().-]{7,20}$/;

/** Anthropic refuses names that say who someone is. */
function isAnonymous(user: string): boolean {
  return user.length <= 256 && !EMAIL.test(user) && !PHONE.test(user);
}

function addTier(body: JsonObject, tier: string, refuses: ReadonlySet<string>, drops: Drops): void {
  if (refuses.has('service_tier')) {
    if (!statesDefault('service_tier', tier)) drops.drop('service_tier');
  } else if (tier === 'auto' || tier === 'priority' || tier === 'fast') body['service_tier'] = 'auto';
  else if (tier === 'default' || tier === 'standard_only') body['service_tier'] = 'standard_only';
  else drops.drop('service_tier');
}
