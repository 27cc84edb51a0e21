import type { Effort, ModelCapabilities } from '../../capabilities/capabilities.ts';
import type { Drops } from '../adapter.ts';

/** Who made a model: what Converse itself does not say is said in its maker's words. */
export type Family = 'claude' | 'nova' | 'openai' | 'mistral' | 'cohere' | 'llama' | 'other';

/**
 * By the model's id, with or without the prefix of an inference profile (`us.`, `global.`), or its ARN. The ARN of an application's profile tells
 * nothing: whoever says in the capability table how it thinks says that it is Claude.
 */
export function familyOf(model: string, { thinking }: Pick<ModelCapabilities, 'thinking'>): Family {
  const id = model.toLowerCase();
  if (/\banthropic\.|claude/.test(id) || thinking === 'adaptive' || thinking === 'budget') return 'claude';
  if (/\bamazon\.nova/.test(id)) return 'nova';
  if (/\bopenai\./.test(id)) return 'openai';
  if (/\bmistral\./.test(id)) return 'mistral';
  if (/\bcohere\./.test(id)) return 'cohere';
  return /\bmeta\./.test(id) ? 'llama' : 'other';
}

/** What a request is made for. */
export interface Target {
  model: string;
  family: Family;
  capabilities: ModelCapabilities;
  drops: Drops;
  /** The effort that the model is going to make, as far as it is known. */
  effort: Effort | null;
}

/** Does the model take this parameter, by OpenAI's name? */
export function takes({ capabilities, effort }: Target, name: string): boolean {
  if (!capabilities.refuses.has(name)) return true;
  return effort === 'none' && capabilities.takesAtNoEffort.has(name);
}

/** Keeps a prompt that is marked: of all others a marker is refused. */
export function caches({ family }: Pick<Target, 'family'>): boolean {
  return family === 'claude' || family === 'nova';
}

/** Claude models whose schemas Converse does not pass on as it should, though Anthropic itself takes them. */
const SCHEMA_REFUSED = /claude-(?:opus-4-[78]|fable-5|sonnet-5)/;

/** Answers by a schema, and calls tools strictly. */
export function takesSchemas({ model, family, capabilities }: Target): boolean {
  if (!capabilities.jsonSchema) return false;
  switch (family) {
    case 'claude':
      return !SCHEMA_REFUSED.test(model.toLowerCase());
    case 'openai':
    case 'mistral':
      return true;
    case 'other':
      return /\b(?:qwen|deepseek|google|moonshot(?:ai)?|minimax|nvidia|zai)\./.test(model.toLowerCase());
    default:
      return false;
  }
}
