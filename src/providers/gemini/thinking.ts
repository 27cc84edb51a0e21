import type { Effort } from '../../capabilities/capabilities.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Limits } from './limits.ts';

/** In rising order. */
const LEVELS = ['MINIMAL', 'LOW', 'MEDIUM', 'HIGH'] as const;
type Level = (typeof LEVELS)[number];

/** How hard to think is a level for models from 3 on … */
const LEVEL_OF: Readonly<Record<Effort, Level>> = {
  none: 'MINIMAL',
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
  max: 'HIGH',
};

/** … and a number of tokens for 2.5. These are those of Google's own endpoint in OpenAI's dialect. */
const BUDGET_OF: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24_576,
  xhigh: 24_576,
  max: 24_576,
};

/** The least that a model thinks which cannot be told not to (2.5 Pro) … Tokens; by Google's page on thinking. */
const LEAST_OF_THINKER = 128;
/** … and one that can, if it does think: Flash-Lite takes no less, Flash any number. Tokens. */
const LEAST_OF_OTHERS = 512;
/** Google counts what is thought as output. Of the tokens that an answer may have, thinking may take so many: the rest is for what is said. */
const MOST_OF_ANSWER = 0.8;

/**
 * `thinkingConfig`; null = left to the model. Whoever asks for an effort is shown what was thought. `maxTokens`: that the answer may have, thoughts
 * among them; null = not said.
 */
export function thinkingConfig(
  effort: Effort | null,
  maxTokens: number | null,
  limits: Limits,
): JsonObject | null {
  if (effort === null || !limits.takes('reasoning_effort')) return null;
  const { thinkingConfig: kind, efforts } = limits.capabilities;
  const cannotStop = effort === 'none' && efforts !== null && !efforts.includes('none');
  switch (kind) {
    case 'level': {
      const thinkingLevel = nearestLevel(LEVEL_OF[effort], efforts);
      if (cannotStop && thinkingLevel !== 'MINIMAL') limits.drops.drop('reasoning_effort');
      return { thinkingLevel, includeThoughts: effort !== 'none' };
    }
    case 'budget':
      return budgetConfig(effort, cannotStop, maxTokens, limits);
    case null:
      // A model that does not think does what `none` asks for.
      if (effort !== 'none') limits.drops.drop('reasoning_effort');
      return null;
  }
}

/** As many tokens as the effort stands for and the answer has room for; else as few as the model takes. */
function budgetConfig(
  effort: Effort,
  cannotStop: boolean,
  maxTokens: number | null,
  { capabilities, drops }: Limits,
): JsonObject {
  if (effort === 'none') {
    if (cannotStop) drops.drop('reasoning_effort');
    return { thinkingBudget: cannotStop ? LEAST_OF_THINKER : 0, includeThoughts: false };
  }
  const canStop = capabilities.efforts?.includes('none') ?? true;
  const room = Math.min(maxTokens ?? Infinity, capabilities.maxOutput ?? Infinity) * MOST_OF_ANSWER;
  const budget = Math.min(BUDGET_OF[effort], Math.floor(room));
  if (budget >= (canStop ? LEAST_OF_OTHERS : LEAST_OF_THINKER)) {
    return { thinkingBudget: budget, includeThoughts: true };
  }
  drops.drop('reasoning_effort', 'The answer may not be long enough to think before it.');
  return { thinkingBudget: canStop ? 0 : LEAST_OF_THINKER, includeThoughts: !canStop };
}

/** The lowest level that is as high as what is wanted, else the highest that there is. */
function nearestLevel(wanted: Level, efforts: readonly Effort[] | null): Level {
  if (efforts === null) return wanted;
  const there = new Set(efforts.map((effort) => LEVEL_OF[effort]));
  const known = LEVELS.filter((level) => there.has(level));
  const enough = known.find((level) => LEVELS.indexOf(level) >= LEVELS.indexOf(wanted));
  return enough ?? known.at(-1) ?? wanted;
}
