import type { Effort } from '../../capabilities/capabilities.ts';
import type { Conversation } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import { nearestEffort, planThinking, readWish } from '../anthropic/thinking.ts';
import { lacksThinking } from '../anthropic/turns.ts';
import { type Target, takes } from './target.ts';
import type { Settled } from './turns.ts';

/** How hard the model is to think, in its maker's words. */
export interface ReasoningPlan {
  /** Of `additionalModelRequestFields`. */
  fields: JsonObject;
  /** Of the request itself. */
  outputConfig: JsonObject;
  /** It is told to think: then some models take no sampling parameters. */
  thinks: boolean;
  /** At this effort it takes no sampling parameters and no bound on its answer. */
  unbound: boolean;
}

const NOTHING: ReasoningPlan = { fields: {}, outputConfig: {}, thinks: false, unbound: false };

/** What all Claude models since 4 can write; where nothing is said, Converse lets a model write as much as it can. Tokens. */
const USUAL_OUTPUT = 32_000;

/** `forced`: it must call a tool, which Claude does not do while it thinks. */
export function planReasoning(
  conversation: Conversation,
  settled: Settled,
  target: Target,
  forced: boolean,
): ReasoningPlan {
  if (target.family === 'claude') return planClaude(conversation, settled, target, forced);
  // Anthropic's own word, which other models' makers do not know.
  if (conversation.others['thinking'] !== undefined) target.drops.drop('thinking');
  const effort = conversation.reasoningEffort;
  if (effort === null) return NOTHING;
  if (!takes(target, 'reasoning_effort')) return dropped(target);
  switch (target.family) {
    case 'nova':
      return planNova(effort, conversation, target);
    case 'openai':
      return planOpenai(effort, target);
    default:
      return planOther(effort, target);
  }
}

function dropped({ drops }: Target): ReasoningPlan {
  drops.drop('reasoning_effort');
  return NOTHING;
}

/** As Anthropic itself is told. */
function planClaude(
  conversation: Conversation,
  { turns }: Settled,
  { capabilities, drops }: Target,
  forced: boolean,
): ReasoningPlan {
  const most = capabilities.maxOutput ?? Number.POSITIVE_INFINITY;
  const { thinking, effort, thinks } = planThinking(readWish(conversation), {
    capabilities,
    maxTokens: Math.min(conversation.maxTokens ?? capabilities.maxOutput ?? USUAL_OUTPUT, most),
    forcesTool: forced,
    lacksThinking: turns.at(-1)?.role === 'assistant' || lacksThinking(turns),
    drops,
  });
  const fields = {
    ...(thinking === null ? {} : { thinking }),
    ...(effort === null ? {} : { output_config: { effort } }),
  };
  return { ...NOTHING, fields, thinks };
}

const THREE_EFFORTS: readonly Effort[] = ['low', 'medium', 'high'];

/** Nova 2 and later think; at `high` without any bound, and only so. */
function planNova(effort: Effort, { maxTokens }: Conversation, target: Target): ReasoningPlan {
  const thinks = /nova-\d/.test(target.model.toLowerCase());
  if (effort === 'none') {
    return thinks ? { ...NOTHING, fields: { reasoningConfig: { type: 'disabled' } } } : NOTHING;
  }
  if (!thinks) return dropped(target);
  // What a client set as a bound on its bill counts for more than how hard it wanted it.
  const most = maxTokens === null ? THREE_EFFORTS : THREE_EFFORTS.filter((one) => one !== 'high');
  const word = nearestEffort(
    effort,
    target.capabilities.efforts?.filter((one) => most.includes(one)) ?? most,
  );
  if (word === null) return dropped(target);
  nameIfOther(effort, word, target);
  const fields = { reasoningConfig: { type: 'enabled', maxReasoningEffort: word } };
  return { ...NOTHING, fields, thinks, unbound: word === 'high' };
}

/** The open models know three efforts, and always make one of them. */
function planOpenai(effort: Effort, target: Target): ReasoningPlan {
  const isOpen = /gpt-oss/.test(target.model.toLowerCase());
  const efforts = target.capabilities.efforts ?? (isOpen ? THREE_EFFORTS : null);
  if (effort === 'none') {
    if (efforts !== null && !efforts.includes('none')) return dropped(target);
    return { ...NOTHING, fields: { reasoning_effort: effort } };
  }
  const word = nearestEffort(effort, efforts);
  if (word === null) return dropped(target);
  nameIfOther(effort, word, target);
  return { ...NOTHING, fields: { reasoning_effort: word } };
}

/** Only those of whom it is known that they take efforts are told one. */
function planOther(effort: Effort, target: Target): ReasoningPlan {
  const { efforts } = target.capabilities;
  const word = effort === 'none' || efforts === null ? null : nearestEffort(effort, efforts);
  if (word === null) return dropped(target);
  nameIfOther(effort, word, target);
  return { ...NOTHING, outputConfig: { effort: word } };
}

/** `minimal` is a word for `low`. */
function nameIfOther(asked: Effort, word: Effort, { drops }: Target): void {
  if (word === asked || (asked === 'minimal' && word === 'low')) return;
  drops.drop('reasoning_effort', `The effort '${asked}' is not supported.`);
}
