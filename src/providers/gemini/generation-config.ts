import type { Conversation, ResponseFormat } from '../../chat/conversation.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { dropDetail } from '../unasked.ts';
import type { Limits } from './limits.ts';
import { thinkingConfig } from './thinking.ts';

/** Google takes no more; OpenAI four. */
const MOST_STOPS = 5;

/** `generationConfig`; empty where nothing is asked for. */
export function generationConfig(conversation: Conversation, limits: Limits): JsonObject {
  const { capabilities } = limits;
  const { maxTokens } = conversation;
  const config: Record<string, Json> = { ...samplingOf(conversation, limits) };
  if (maxTokens !== null) {
    config['maxOutputTokens'] = Math.min(maxTokens, capabilities.maxOutput ?? Number.POSITIVE_INFINITY);
  }
  if (conversation.stop.length > 0 && limits.takes('stop')) {
    if (conversation.stop.length > MOST_STOPS) {
      throw new Unsupported('stop', `At most ${MOST_STOPS} stop sequences are supported.`);
    }
    config['stopSequences'] = conversation.stop;
  }
  if (conversation.n > 1) {
    if (capabilities.refuses.has('n')) {
      throw new Unsupported('n', 'More than one choice is not supported.');
    }
    config['candidateCount'] = conversation.n;
  }
  Object.assign(config, formatOf(conversation.responseFormat, conversation.tools.length > 0, limits));
  const thinking = thinkingConfig(conversation.reasoningEffort, maxTokens, limits);
  if (thinking !== null) config['thinkingConfig'] = thinking;
  const onlySmall = hasOnlySmallPictures(conversation);
  if (onlySmall) config['mediaResolution'] = 'MEDIA_RESOLUTION_LOW';
  dropDetail(conversation, (detail) => detail === 'high' || (onlySmall && detail === 'low'), limits.drops);
  return config;
}

function samplingOf(conversation: Conversation, limits: Limits): JsonObject {
  const { temperature, topP, topK, seed, presencePenalty, frequencyPenalty } = conversation;
  const config: Record<string, Json> = {};
  if (temperature !== null && limits.takes('temperature', temperature === 1)) {
    config['temperature'] = Math.min(Math.max(temperature, 0), 2);
  }
  if (topP !== null && limits.takes('top_p', topP === 1)) config['topP'] = Math.min(Math.max(topP, 0), 1);
  if (topK !== null && limits.takes('top_k')) config['topK'] = Math.max(Math.round(topK), 1);
  // No penalty is what there is unasked, and some models refuse to be told even that.
  if (presencePenalty && limits.takes('presence_penalty')) config['presencePenalty'] = presencePenalty;
  if (frequencyPenalty && limits.takes('frequency_penalty')) config['frequencyPenalty'] = frequencyPenalty;
  if (seed !== null && limits.takes('seed')) {
    // 32 bits there, 64 at OpenAI: the same seed is still the same.
    if (Number.isSafeInteger(seed)) config['seed'] = seed | 0;
    else limits.drops.drop('seed', 'It must be a whole number.');
  }
  if (conversation.topLogprobs && !conversation.logprobs) limits.drops.drop('top_logprobs');
  if (conversation.logprobs && limits.takes('logprobs')) {
    config['responseLogprobs'] = true;
    const { topLogprobs } = conversation;
    if (topLogprobs !== null && topLogprobs > 0 && limits.takes('top_logprobs')) {
      config['logprobs'] = Math.min(Math.round(topLogprobs), 20);
    }
  }
  return config;
}

function formatOf(format: ResponseFormat, hasTools: boolean, { capabilities }: Limits): JsonObject {
  if (format.kind === 'text') return {};
  if (hasTools && capabilities.thinkingConfig === 'budget') {
    throw new Unsupported('response_format', 'A JSON format is not supported together with tools.');
  }
  if (format.kind === 'json' || Object.keys(format.schema).length === 0) {
    return { responseMimeType: 'application/json' };
  }
  if (!capabilities.jsonSchema) {
    throw new Unsupported('response_format', 'Answers by a JSON schema are not supported.');
  }
  return { responseMimeType: 'application/json', responseJsonSchema: format.schema };
}

/**
 * One resolution holds for all that is looked at, so it is only said where every part of it is a picture with `detail: low`. `high` is what
 * newer models do unasked, and some refuse to be told.
 */
function hasOnlySmallPictures({ turns }: Conversation): boolean {
  const media = turns
    .flatMap((turn) =>
      turn.role === 'user' ? [...turn.parts, ...turn.results.flatMap(({ parts }) => parts)] : [],
    )
    .filter(({ kind }) => kind !== 'text');
  return media.length > 0 && media.every((part) => part.kind === 'image' && part.detail === 'low');
}
