import type { Effort } from '../../capabilities/capabilities.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** Anthropic's words. */
const WORDS = ['low', 'medium', 'high', 'xhigh', 'max'] as const satisfies readonly Effort[];

/** Anthropic's own default, where a model is to think and not told how hard. */
const USUAL: Effort = 'high';

/** Up to so many tokens of thought, so hard. Anthropic's least is 1024; agents ask for about 4,000, 10,000 and 32,000 in steps. */
const BUDGETS: readonly { upTo: number; effort: Effort }[] = [
  { upTo: 4096, effort: 'low' },
  { upTo: 16_384, effort: 'medium' },
  { upTo: 32_000, effort: 'high' },
  { upTo: 40_960, effort: 'xhigh' },
  { upTo: Number.POSITIVE_INFINITY, effort: 'max' },
];

/** `thinking` and `output_config.effort` in OpenAI's one word; null = nothing is said. */
export function effortOf(request: JsonObject): Effort | null {
  const { thinking, output_config: config } = request;
  const asked = isJsonObject(config) ? effortWord(config['effort']) : null;
  if (thinking === undefined || thinking === null) return asked;
  if (!isJsonObject(thinking)) throw new Unsupported('thinking', 'It must be an object.');
  switch (thinking['type']) {
    case 'disabled':
    // Not a thought before the answer, which is what the other models call none.
    case 'between_tools':
      return 'none';
    case 'adaptive':
      return asked ?? USUAL;
    case 'enabled':
      return asked ?? effortForBudget(thinking['budget_tokens']);
    default:
      throw new Unsupported(
        'thinking.type',
        "It must be 'adaptive', 'enabled', 'between_tools' or 'disabled'.",
      );
  }
}

/** Tokens of thought that the client allows; null = it counts none. */
export function budgetOf({ thinking }: JsonObject): number | null {
  if (!isJsonObject(thinking) || thinking['type'] !== 'enabled') return null;
  const { budget_tokens: budget } = thinking;
  return typeof budget === 'number' ? budget : null;
}

function effortWord(effort: Json | undefined): Effort | null {
  if (effort === undefined || effort === null) return null;
  const word = WORDS.find((one) => one === effort);
  if (word === undefined)
    throw new Unsupported('output_config.effort', `It must be one of ${WORDS.join(', ')}.`);
  return word;
}

function effortForBudget(budget: Json | undefined): Effort {
  if (typeof budget !== 'number') {
    throw new Unsupported('thinking.budget_tokens', 'It must be a number of tokens.');
  }
  return BUDGETS.find(({ upTo }) => budget <= upTo)?.effort ?? USUAL;
}

/**
 * Does the client expect thinking in its answer? Whoever asked for it, and whoever uses tools: agents look at each block's type, and must hand
 * thinking back. A program that asked for neither may well read the first block as the text.
 */
export function showsThinking(request: JsonObject): boolean {
  const { thinking, tools, output_config: config } = request;
  if (Array.isArray(tools) && tools.length > 0) return true;
  if (isJsonObject(thinking)) return thinking['type'] !== 'disabled';
  return isJsonObject(config) && typeof config['effort'] === 'string';
}
