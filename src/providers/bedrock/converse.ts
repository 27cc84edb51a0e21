import { markConversation } from '../../chat/cache-markers.ts';
import type { Conversation, UserTurn } from '../../chat/conversation.ts';
import { readConversation } from '../../chat/read-conversation.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { type Ask, asked, Drops, type Prepared, Unsupported } from '../adapter.ts';
import { printedBody } from '../printed-body.ts';
import { ConverseAnswer } from './answer.ts';
import { settleCachePoints } from './cache-points.ts';
import { Blocks } from './content.ts';
import { planFormat } from './formats.ts';
import { planInference } from './inference.ts';
import { dropLeftovers, requestMetadata, serviceTier } from './leftovers.ts';
import { messagesOf, systemBlocks } from './messages.ts';
import { modelPath } from './path.ts';
import { planReasoning } from './reasoning.ts';
import { caches, familyOf, type Target } from './target.ts';
import { planTools } from './tools.ts';
import { originOf, type Settled, settle } from './turns.ts';

/** A chat for Converse or ConverseStream. */
export function prepareChat(ask: Ask): Prepared {
  try {
    return prepared(ask);
  } catch (error) {
    // The arguments of a call are JSON within a text: nobody has looked yet how deep it goes.
    if (error instanceof RangeError) throw new Unsupported('messages', 'They are nested too deeply.');
    throw error;
  }
}

function prepared(ask: Ask): Prepared {
  const { model, capabilities, strict, streaming } = ask;
  const request = asked(ask);
  const conversation = readConversation(request, ask.recall);
  const target: Target = {
    model,
    family: familyOf(model, capabilities),
    capabilities,
    drops: new Drops(strict),
    effort: conversation.reasoningEffort ?? capabilities.defaultEffort,
  };
  if (ask.cacheMarkers) placeMarkers(conversation, target);
  const body = converseRequest(conversation, request, target);
  return {
    path: modelPath(model, streaming ? 'converse-stream' : 'converse'),
    headers: [
      'content-type',
      'application/json',
      'accept',
      streaming ? 'application/vnd.amazon.eventstream' : 'application/json',
    ],
    ...printedBody(ask, body),
    dropped: inOrderOf(request, target.drops.names),
    answer: (facts) => new ConverseAnswer(facts, originOf(target)),
  };
}

function converseRequest(conversation: Conversation, request: JsonObject, target: Target): JsonObject {
  dropLeftovers(conversation, target);
  const blocks = new Blocks(target);
  const tools = planTools(conversation, target, blocks);
  const settled = settle(conversation, target, tools.toolConfig !== null);
  markWhole(conversation, settled, target);
  const reasoning = planReasoning(conversation, settled, target, tools.forced);
  const inference = planInference(conversation, target, reasoning);
  const format = planFormat(conversation.responseFormat, target);
  const system = systemBlocks(settled.system, blocks);
  if (format.instruction !== null) system.push({ text: format.instruction });
  const fields = { ...tools.fields, ...reasoning.fields, ...inference.fields };
  if (format.format !== null) {
    const { output_config: config } = fields;
    Object.assign(fields, {
      output_config: { ...(isJsonObject(config) ? config : {}), format: format.format },
    });
  }
  const outputConfig = {
    ...reasoning.outputConfig,
    ...(format.textFormat === null ? {} : { textFormat: format.textFormat }),
  };
  const messages = messagesOf(settled, target, blocks);
  const offered = (tools.toolConfig?.['tools'] ?? []) as JsonObject[];
  settleCachePoints({ tools: offered, system, messages }, target.drops);
  return leaveOutEmpty({
    messages,
    system,
    inferenceConfig: inference.inferenceConfig,
    toolConfig: tools.toolConfig,
    additionalModelRequestFields: fields,
    requestMetadata: requestMetadata(conversation, request, target),
    serviceTier: serviceTier(conversation, target),
    outputConfig,
  });
}

function leaveOutEmpty(request: JsonObject): JsonObject {
  const isSaid = (value: JsonObject[string]) =>
    value !== null && (typeof value !== 'object' || Object.keys(value).length > 0);
  return Object.fromEntries(Object.entries(request).filter(([, value]) => isSaid(value)));
}

/** Markers of ours, for models that take them; Nova takes none among tools. */
function placeMarkers(conversation: Conversation, target: Target): void {
  if (!caches(target)) return;
  const own = conversation.tools.map(({ cache }) => cache);
  markConversation(conversation);
  if (target.family !== 'nova') return;
  for (const [index, tool] of conversation.tools.entries()) tool.cache = own[index] ?? null;
}

/** `cache_control` of the whole request: it counts for what the user said last. */
function markWhole({ others }: Conversation, { turns }: Settled, target: Target): void {
  const control = others['cache_control'];
  if (control === undefined) return;
  if (!isJsonObject(control) || !caches(target)) {
    target.drops.drop('cache_control');
    return;
  }
  const ttl = control['ttl'] === '1h' || control['ttl'] === '5m' ? control['ttl'] : null;
  const last = turns.findLast((turn): turn is UserTurn => turn.role === 'user');
  const block = last?.parts.at(-1) ?? last?.results.at(-1);
  if (block !== undefined) block.cache ??= { ttl };
}

/** What was dropped, in the order of the request; what stands within a member after it. */
function inOrderOf(request: JsonObject, names: readonly string[]): string[] {
  const order = Object.keys(request);
  const placeOf = (name: string) => {
    const at = order.indexOf(name.replace(/[.[].*$/s, ''));
    return at < 0 ? order.length : at;
  };
  return [...names].sort((a, b) => placeOf(a) - placeOf(b));
}
