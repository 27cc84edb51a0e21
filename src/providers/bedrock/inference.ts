import type { Conversation } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import { isBlank } from './content.ts';
import type { ReasoningPlan } from './reasoning.ts';
import { type Target, takes } from './target.ts';

/** How the answer is written. */
export interface InferencePlan {
  inferenceConfig: JsonObject;
  /** What goes to the model in its maker's words. */
  fields: JsonObject;
}

export function planInference(
  conversation: Conversation,
  target: Target,
  { thinks, unbound }: ReasoningPlan,
): InferencePlan {
  const { drops, family } = target;
  const config: Record<string, JsonObject[string]> = {};
  const fields: Record<string, JsonObject[string]> = {};
  const most = conversation.maxTokens;
  if (most !== null) {
    config['maxTokens'] = Math.min(most, target.capabilities.maxOutput ?? Number.MAX_SAFE_INTEGER);
  }
  // Claude samples in one way while it thinks; Nova at its highest effort.
  const samples = (name: string) => takes(target, name) && !unbound && !(thinks && family === 'claude');
  const { temperature, topP, topK } = conversation;
  if (temperature !== null) {
    if (samples('temperature')) {
      if (temperature > 1) drops.drop('temperature', 'The temperature can be at most 1.');
      config['temperature'] = Math.min(Math.max(temperature, 0), 1);
    } else if (temperature !== 1) drops.drop('temperature');
  }
  if (topP !== null) {
    // Claude takes one of the two. 1 is what holds without either.
    const isSecond =
      family === 'claude' && config['temperature'] !== undefined && config['temperature'] !== 1;
    if (!samples('top_p') || isSecond) {
      if (topP !== 1) drops.drop('top_p');
    } else {
      if (family === 'claude') delete config['temperature'];
      config['topP'] = Math.min(Math.max(topP, 0), 1);
    }
  }
  if (topK !== null) {
    const field = samples('top_k') ? topKField(target, topK) : null;
    if (field === null) drops.drop('top_k');
    else Object.assign(fields, field);
  }
  const stop = takenStops(conversation.stop, target);
  if (stop.length < conversation.stop.length) drops.drop('stop');
  if (stop.length > 0) config['stopSequences'] = stop;
  return { inferenceConfig: config, fields };
}

/** Converse has no word for it; null for those who would refuse it. */
function topKField({ family }: Target, topK: number): JsonObject | null {
  switch (family) {
    case 'claude':
    case 'mistral':
      return { top_k: topK };
    case 'nova':
      return { inferenceConfig: { topK } };
    case 'cohere':
      return { k: topK };
    default:
      return null;
  }
}

/** OpenAI's models refuse them on Bedrock, Claude those of white space alone. */
function takenStops(stop: readonly string[], target: Target): string[] {
  if (target.family === 'openai' || !takes(target, 'stop')) return [];
  return target.family === 'claude' ? stop.filter((one) => !isBlank(one)) : [...stop];
}
