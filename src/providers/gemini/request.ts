import type { Conversation } from '../../chat/conversation.ts';
import { readConversation } from '../../chat/read-conversation.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import type { JsonObject } from '../../core/json.ts';
import { type Ask, asked, Drops, type Prepared } from '../adapter.ts';
import { printedBody } from '../printed-body.ts';
import { chatAnswer } from './answer.ts';
import { contentsOf } from './contents.ts';
import { generationConfig } from './generation-config.ts';
import type { Home } from './home.ts';
import { Limits } from './limits.ts';
import { noteOthers } from './others.ts';
import { labelsOf, tierOf } from './service.ts';
import { toolMembers } from './tools.ts';

/** A chat as a call of `generateContent`. */
export function prepareChat(ask: Ask, home: Home): Prepared {
  const request = asked(ask);
  const conversation = readConversation(request, ask.recall);
  const { capabilities } = ask;
  const effort = conversation.reasoningEffort ?? capabilities.defaultEffort;
  const limits = new Limits(capabilities, new Drops(ask.strict), effort);
  const tier = tierOf(conversation, limits);
  const sent: JsonObject = {
    ...chatMembers(conversation, limits, home),
    ...labelsOf(conversation, request, limits, home),
    ...(tier !== null && home.tierHeader === null ? { serviceTier: tier } : {}),
  };
  noteOthers(conversation, limits.drops);
  const printed = printChat(ask, sent);
  const method = ask.streaming ? 'streamGenerateContent?alt=sse' : 'generateContent';
  return {
    path: `${home.modelPath(ask.model, ask.provider)}:${method}`,
    // What is standard there is what nobody asks for.
    headers: tier === null || tier === 'standard' || home.tierHeader === null ? [] : [home.tierHeader, tier],
    ...printed,
    dropped: inOrder(limits.drops.names, request),
    answer: (facts) => chatAnswer(facts, printed.body, conversation.n),
  };
}

function chatMembers(conversation: Conversation, limits: Limits, home: Home): JsonObject {
  const { contents, system } = contentsOf(conversation, limits.capabilities, home);
  const config = generationConfig(conversation, limits);
  return {
    contents,
    ...(system.length > 0 ? { systemInstruction: { parts: system } } : {}),
    ...toolMembers(conversation, limits),
    ...(Object.keys(config).length > 0 ? { generationConfig: config } : {}),
  };
}

/** Of what a client nested so deep that it can be parsed, but not printed again. */
export function print(value: JsonObject): Buffer {
  try {
    return Buffer.from(JSON.stringify(value));
  } catch {
    throw tooDeep();
  }
}

function printChat(ask: Ask, value: JsonObject): ReturnType<typeof printedBody> {
  try {
    return printedBody(ask, value);
  } catch {
    throw tooDeep();
  }
}

function tooDeep(): Unsupported {
  return new Unsupported('messages', 'They hold something that is nested too deeply.');
}

/** What was dropped, in the order of the request; what is not a member of it by itself comes last. */
export function inOrder(names: readonly string[], request: JsonObject): string[] {
  const places = new Map(Object.keys(request).map((name, index) => [name, index]));
  const placeOf = (name: string) => places.get(name) ?? places.size;
  return [...names].sort((a, b) => placeOf(a) - placeOf(b));
}
