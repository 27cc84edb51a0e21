import { EFFORTS, type Effort, type ModelCapabilities } from '../../capabilities/capabilities.ts';
import type { Conversation } from '../../chat/conversation.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';

/** The least that Anthropic takes as a budget. Tokens. */
const LEAST_BUDGET = 1024;
/** Of the tokens that an answer may have, thinking may take so many: the rest is for what is said. */
const MOST_OF_ANSWER = 0.8;

/** Budgets for models that know no efforts. Tokens; ours, after what Anthropic's and Google's pages name for light, usual and hard tasks. */
const BUDGETS: Readonly<Record<Exclude<Effort, 'none'>, number>> = {
  minimal: LEAST_BUDGET,
  low: 2048,
  medium: 8192,
  high: 24_576,
  xhigh: 32_768,
  max: 49_152,
};

/** What a request says of thinking, in one form. */
export type Wish =
  | { kind: 'unsaid' }
  | { kind: 'off'; param: string }
  /** `effort` null: as much as it does by itself. `budget`: tokens. `display`: how its thoughts are shown. */
  | { kind: 'on'; param: string; effort: Effort | null; budget: number | null; display: string | null };

/** What is sent of it. */
export interface ThinkingPlan {
  thinking: JsonObject | null;
  /** Of `output_config`. */
  effort: string | null;
  /** It is asked to think: what does not go with that must be left out. */
  thinks: boolean;
}

export interface ThinkingRules {
  capabilities: ModelCapabilities;
  /** Of the answer. */
  maxTokens: number;
  /** A tool must be called: never together with thinking. */
  forcesTool: boolean;
  /** With a budget, thinking would be a 400: thoughts that must be handed back are lost, or an answer is to be gone on with. */
  lacksThinking: boolean;
  drops: Drops;
}

/** `reasoning_effort`, and Anthropic's own `thinking` from clients that send that through chat, which says more. */
export function readWish({
  reasoningEffort,
  thinkingBudget,
  others,
}: Pick<Conversation, 'reasoningEffort' | 'thinkingBudget' | 'others'>): Wish {
  const { thinking } = others;
  if (isJsonObject(thinking)) {
    const wish = wishOf(thinking, reasoningEffort);
    if (wish !== null) return wish;
  }
  if (reasoningEffort === null) return { kind: 'unsaid' };
  const param = 'reasoning_effort';
  if (reasoningEffort === 'none') return { kind: 'off', param };
  return { kind: 'on', param, effort: reasoningEffort, budget: thinkingBudget, display: null };
}

/** Of Anthropic's `thinking`; null for none that is known. */
export function wishOf(thinking: JsonObject, effort: Effort | null): Wish | null {
  const { type, budget_tokens: budget, display } = thinking;
  const param = 'thinking';
  switch (type) {
    case 'disabled':
    case 'between_tools':
      return { kind: 'off', param };
    case 'enabled':
    case 'adaptive':
      return {
        kind: 'on',
        param,
        effort: effort === 'none' ? null : effort,
        budget: type === 'enabled' && typeof budget === 'number' && Number.isFinite(budget) ? budget : null,
        display: typeof display === 'string' ? display : null,
      };
    default:
      return null;
  }
}

export function planThinking(wish: Wish, rules: ThinkingRules): ThinkingPlan {
  const { capabilities, drops } = rules;
  const mode = capabilities.thinking ?? 'adaptive';
  if (wish.kind === 'unsaid') return { thinking: null, effort: null, thinks: false };
  if (mode === 'none') {
    if (wish.kind === 'on') drops.drop(wish.param);
    return { thinking: null, effort: null, thinks: false };
  }
  if (wish.kind === 'off') return planOff(wish.param, rules);
  if (rules.forcesTool) {
    drops.drop(wish.param, 'Thinking is not supported together with a tool choice that forces a call.');
    const calm = atMostHigh(wish.effort, capabilities.thinkingOff);
    const effort = mode === 'budget' ? null : effortFor(calm, wish.param, rules);
    return { thinking: offForm(capabilities), effort, thinks: false };
  }
  if (mode === 'adaptive') {
    return {
      thinking: withDisplay({ type: 'adaptive' }, wish.display),
      effort: effortFor(wish.effort, wish.param, rules),
      thinks: true,
    };
  }
  const budget = rules.lacksThinking ? null : budgetFor(wish, rules.maxTokens);
  if (budget === null) {
    drops.drop(wish.param, 'Thinking is not possible in this request.');
    return { thinking: offForm(capabilities), effort: null, thinks: false };
  }
  const thinking = withDisplay({ type: 'enabled', budget_tokens: budget }, wish.display);
  return { thinking, effort: null, thinks: true };
}

/** Where it cannot be turned off, as little as there is. */
function planOff(param: string, rules: ThinkingRules): ThinkingPlan {
  const thinking = offForm(rules.capabilities);
  if (thinking !== null) return { thinking, effort: null, thinks: false };
  rules.drops.drop(param, 'Thinking cannot be turned off.');
  return { thinking, effort: effortFor('low', param, rules), thinks: false };
}

/** The words that turn thinking off; null = none do. */
export function offForm({ thinkingOff }: Pick<ModelCapabilities, 'thinkingOff'>): JsonObject | null {
  switch (thinkingOff) {
    case 'disabled':
    case 'low_effort':
      return { type: 'disabled' };
    case 'between_tools':
      return { type: 'between_tools' };
    case 'omit':
      return null;
  }
}

/** Two ways of turning it off are taken up to `high` only. */
export function atMostHigh<E extends Effort | null>(
  effort: E,
  thinkingOff: ModelCapabilities['thinkingOff'],
): E | 'high' {
  const isBound = thinkingOff === 'low_effort' || thinkingOff === 'between_tools';
  return isBound && (effort === 'xhigh' || effort === 'max') ? 'high' : effort;
}

/** As Anthropic's models take it; another than was asked for is named as dropped. `minimal` is `low` there. */
function effortFor(
  asked: Effort | null,
  param: string,
  { capabilities, drops }: ThinkingRules,
): string | null {
  if (asked === null) return null;
  const known = asked === 'minimal' ? 'low' : asked;
  const effort = nearestEffort(known, capabilities.efforts);
  if (effort !== known) drops.drop(param, `The effort '${asked}' is not supported.`);
  return effort;
}

/** The most of those that a model takes that is not above the one asked for, else the least; null = it takes none. */
export function nearestEffort(asked: Effort, efforts: readonly Effort[] | null): Effort | null {
  if (efforts === null) return asked;
  const limit = EFFORTS.indexOf(asked);
  const taken = EFFORTS.filter((effort) => effort !== 'none' && efforts.includes(effort));
  return taken.findLast((effort) => EFFORTS.indexOf(effort) <= limit) ?? taken[0] ?? null;
}

/** Null: the answer may not be long enough to think before it. */
export function budgetFor(
  { effort, budget }: Pick<Extract<Wish, { kind: 'on' }>, 'effort' | 'budget'>,
  maxTokens: number,
): number | null {
  const most = Math.floor(maxTokens * MOST_OF_ANSWER);
  if (most < LEAST_BUDGET) return null;
  const asked = budget ?? BUDGETS[effort === null || effort === 'none' ? 'medium' : effort];
  return Math.max(LEAST_BUDGET, Math.min(Math.floor(asked), most));
}

function withDisplay(thinking: JsonObject, display: string | null): JsonObject {
  return display === null ? thinking : { ...thinking, display };
}
