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

/** The least that a model thinks which cannot be told not to. Tokens. */
const LEAST_BUDGET = 128;

/** `thinkingConfig`; null = left to the model. Whoever asks for an effort is shown what was thought. */
export function thinkingConfig(effort: Effort | null, limits: Limits): JsonObject | null {
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
      if (cannotStop) limits.drops.drop('reasoning_effort');
      return {
        thinkingBudget: cannotStop ? LEAST_BUDGET : BUDGET_OF[effort],
        includeThoughts: effort !== 'none',
      };
    case null:
      // A model that does not think does what `none` asks for.
      if (effort !== 'none') limits.drops.drop('reasoning_effort');
      return null;
  }
}

/** The lowest level that is as high as what is wanted, else the highest that there is. */
function nearestLevel(wanted: Level, efforts: readonly Effort[] | null): Level {
  if (efforts === null) return wanted;
  const there = new Set(efforts.map((effort) => LEVEL_OF[effort]));
  const known = LEVELS.filter((level) => there.has(level));
  const enough = known.find((level) => LEVELS.indexOf(level) >= LEVELS.indexOf(wanted));
  return enough ?? known.at(-1) ?? wanted;
}
