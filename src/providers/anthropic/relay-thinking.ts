import { EFFORTS, type Effort, type ModelCapabilities } from '../../capabilities/capabilities.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';
import {
  atMostHigh,
  budgetFor,
  nearestEffort,
  offForm,
  planThinking,
  type ThinkingRules,
} from './thinking.ts';

const EFFORT = 'output_config.effort';

/** What a request in Anthropic's words says of thinking. */
export interface Said {
  thinking: Json | undefined;
  outputConfig: Json | undefined;
}

/**
 * The same in the form that the model takes: with an effort or a budget, and off in its own word. Only what changes. Nothing does for a model of which
 * it is not known how it is told to think.
 */
export function adaptThinking(said: Said, rules: Omit<ThinkingRules, 'forcesTool'>): Map<string, Json> {
  const { capabilities, drops } = rules;
  const changes = new Map<string, Json>();
  if (capabilities.thinking === null) return changes;
  const config = isJsonObject(said.outputConfig) ? said.outputConfig : {};
  const effort = EFFORTS.find((one) => one === config['effort']) ?? null;
  const thinking = isJsonObject(said.thinking) ? said.thinking : null;
  const form = thinking === null ? null : formOf(thinking, effort, rules);
  if (thinking !== null && form !== thinking) changes.set('thinking', form);
  if (effort === null) return changes;
  const isOff = form !== null && (form['type'] === 'disabled' || form['type'] === 'between_tools');
  const wanted = isOff ? atMostHigh(effort, capabilities.thinkingOff) : effort;
  const taken = effortOf(wanted, capabilities);
  if (taken === effort) return changes;
  // The budget that thinking has now says as much.
  const isTold = taken === null && form !== thinking && form?.['type'] === 'enabled';
  if (!isTold) drops.drop(EFFORT, `The effort '${effort}' is not supported.`);
  changes.set('output_config', withEffort(config, taken));
  return changes;
}

/** `reasoning_effort` of a target's overrides. */
export function overrideThinking(
  effort: Effort,
  outputConfig: Json | undefined,
  rules: ThinkingRules,
): Map<string, Json> {
  const param = 'reasoning_effort';
  const wish =
    effort === 'none'
      ? ({ kind: 'off', param } as const)
      : ({ kind: 'on', param, effort, budget: null, display: null } as const);
  const plan = planThinking(wish, rules);
  const config = isJsonObject(outputConfig) ? outputConfig : {};
  return new Map<string, Json>([
    ['thinking', plan.thinking],
    ['output_config', withEffort(config, plan.effort)],
  ]);
}

function withEffort(config: JsonObject, effort: string | null): JsonObject | null {
  const { effort: _, ...others } = config;
  if (effort !== null) return { ...others, effort };
  return Object.keys(others).length === 0 ? null : others;
}

/** A model that is told budgets takes an effort only if it is known to. */
function effortOf(asked: Effort, { thinking, efforts }: ModelCapabilities): Effort | null {
  return thinking !== 'adaptive' && efforts === null ? null : nearestEffort(asked, efforts);
}

/** The same object where the model takes it; null: left out. */
function formOf(
  thinking: JsonObject,
  effort: Effort | null,
  { capabilities, maxTokens, lacksThinking, drops }: Omit<ThinkingRules, 'forcesTool'>,
): JsonObject | null {
  const { type, display } = thinking;
  const mode = capabilities.thinking;
  const shown = display === undefined ? {} : { display };
  switch (type) {
    case 'enabled':
    case 'adaptive':
      break;
    case 'disabled':
    case 'between_tools':
      return mode === 'none' ? null : offAs(thinking, capabilities, drops);
    default:
      return thinking;
  }
  if (mode === 'none') {
    drops.drop('thinking');
    return null;
  }
  if (mode === 'adaptive') {
    if (type === 'adaptive') return thinking;
    drops.drop('thinking.budget_tokens', 'A budget for thinking is not supported.');
    return { type: 'adaptive', ...shown };
  }
  const told = thinking['budget_tokens'];
  const fits = type === 'enabled' && (typeof told !== 'number' || told < maxTokens);
  if (fits && !lacksThinking) return thinking;
  const wish = { effort, budget: type === 'enabled' && typeof told === 'number' ? told : null };
  const budget = lacksThinking ? null : budgetFor(wish, maxTokens);
  if (budget !== null) return { type: 'enabled', budget_tokens: budget, ...shown };
  drops.drop('thinking', 'Thinking is not possible in this request.');
  return offForm(capabilities);
}

function offAs(thinking: JsonObject, capabilities: ModelCapabilities, drops: Drops): JsonObject | null {
  const form = offForm(capabilities);
  if (form === null) drops.drop('thinking', 'Thinking cannot be turned off.');
  return form?.['type'] === thinking['type'] ? thinking : form;
}
