import type { Json, JsonObject } from '../core/json.ts';
import { EFFORTS, type ModelCapabilities, NOTHING_KNOWN } from './capabilities.ts';
import type { SaidOfModel } from './schema.ts';

/** From the words of a file to what they mean. */
export function capabilitiesOf(said: SaidOfModel): ModelCapabilities {
  const { efforts } = said;
  return {
    refuses: new Set(said.refuses),
    takesAtNoEffort: new Set(said.takes_at_no_effort),
    forcedTools: said.forced_tools ?? NOTHING_KNOWN.forcedTools,
    prefill: said.prefill ?? NOTHING_KNOWN.prefill,
    laterSystem: said.later_system ?? NOTHING_KNOWN.laterSystem,
    efforts: efforts === undefined ? null : EFFORTS.filter((effort) => efforts.includes(effort)),
    defaultEffort: known(said.default_effort),
    toolsOnlyAtNoEffort: said.tools_only_at_no_effort ?? NOTHING_KNOWN.toolsOnlyAtNoEffort,
    maxCompletionTokens: said.max_completion_tokens ?? NOTHING_KNOWN.maxCompletionTokens,
    thinking: said.thinking ?? null,
    thinkingOff: said.thinking_off ?? NOTHING_KNOWN.thinkingOff,
    thinkingConfig: said.thinking_config ?? null,
    jsonSchema: said.json_schema ?? NOTHING_KNOWN.jsonSchema,
    input: said.input === undefined ? null : new Set(said.input),
    context: known(said.context),
    maxOutput: known(said.max_output),
  };
}

function known<T>(said: T | 'unknown' | undefined): T | null {
  return said === undefined || said === 'unknown' ? null : said;
}

/** What is known beyond nothing, in the words of a file. */
export function wordsOf(capabilities: ModelCapabilities): JsonObject {
  const [words, nothing] = [allWordsOf(capabilities), allWordsOf(NOTHING_KNOWN)];
  const isNews = ([word, value]: [string, Json]) => JSON.stringify(value) !== JSON.stringify(nothing[word]);
  return Object.fromEntries(Object.entries(words).filter(isNews));
}

function allWordsOf(capabilities: ModelCapabilities): JsonObject & Record<keyof SaidOfModel, Json> {
  return {
    context: capabilities.context,
    max_output: capabilities.maxOutput,
    input: capabilities.input === null ? null : [...capabilities.input],
    refuses: [...capabilities.refuses],
    takes_at_no_effort: [...capabilities.takesAtNoEffort],
    efforts: capabilities.efforts === null ? null : [...capabilities.efforts],
    default_effort: capabilities.defaultEffort,
    forced_tools: capabilities.forcedTools,
    tools_only_at_no_effort: capabilities.toolsOnlyAtNoEffort,
    max_completion_tokens: capabilities.maxCompletionTokens,
    prefill: capabilities.prefill,
    later_system: capabilities.laterSystem,
    json_schema: capabilities.jsonSchema,
    thinking: capabilities.thinking,
    thinking_off: capabilities.thinkingOff,
    thinking_config: capabilities.thinkingConfig,
  };
}
