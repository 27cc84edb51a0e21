import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';

/** Why an answer ended, in Anthropic's words. */
export type StopReason = 'end_turn' | 'max_tokens' | 'tool_use' | 'refusal';

/** `finish`: OpenAI's. Whoever called a tool waits for its result, whatever a host says. */
export function stopReason(finish: Json | undefined, callsTools: boolean, refused: boolean): StopReason {
  if (finish === 'content_filter') return 'refusal';
  if (finish === 'length') return 'max_tokens';
  if (callsTools) return 'tool_use';
  return refused ? 'refusal' : 'end_turn';
}

/** `explanation`: what was said in place of an answer. */
export function stopDetails(reason: StopReason, explanation: string): JsonObject | null {
  if (reason !== 'refusal') return null;
  return { type: 'refusal', category: null, explanation: explanation === '' ? null : explanation };
}

const NOTHING: Usage = { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };

/** What Anthropic counts as input is neither read from its cache nor written to it. */
export function tokens(usage: Usage | null): {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
  output_tokens_details: { thinking_tokens: number };
} {
  const { input, output, cached, cacheWrite, reasoning } = usage ?? NOTHING;
  return {
    input_tokens: input - cached - cacheWrite,
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cached,
    output_tokens: output,
    output_tokens_details: { thinking_tokens: reasoning },
  };
}

/** The usage of a message. `tier`: OpenAI's. */
export function messageUsage(usage: Usage | null, tier: Json | undefined) {
  const { cacheWrite, cacheWriteHour = 0 } = usage ?? NOTHING;
  return {
    ...tokens(usage),
    cache_creation: {
      ephemeral_5m_input_tokens: cacheWrite - cacheWriteHour,
      ephemeral_1h_input_tokens: cacheWriteHour,
    },
    inference_geo: null,
    server_tool_use: null,
    service_tier:
      tier === 'priority' ? ('priority' as const) : tier === 'default' ? ('standard' as const) : null,
    speed: null,
  };
}

/** A message without its content. `tier`: OpenAI's, as far as it is known by then. */
export function emptyMessage(id: string, model: string, tier: Json | undefined) {
  return {
    id: `msg_${id}`,
    type: 'message' as const,
    role: 'assistant' as const,
    model,
    content: [],
    container: null,
    diagnostics: null,
    stop_details: null,
    stop_reason: null,
    stop_sequence: null,
    // What was written to a cache is told at the end, in one number: clients that put a stream together would keep noughts of its parts.
    usage: { ...messageUsage(null, tier), cache_creation: null },
  };
}

/** The name under which Anthropic's docs put arguments that are no JSON, when a model is to be shown what it wrote. */
const NO_JSON = 'INVALID_JSON';

/** A tool's input. What is no object is not taken for one: a tool that got `{}` in its place might run with its defaults. */
export function toolInput(text: string): JsonObject {
  if (text.trim() === '') return {};
  const input = tryParseJson(text);
  if (isJsonObject(input)) return input;
  return input === null ? {} : { [NO_JSON]: text };
}

/** The text of a chat's content, which some hosts give in parts. */
export function textOf(content: Json | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (isJsonObject(part) ? textIn(part['text']) : '')).join('');
}

/** What was thought: DeepSeek's and vLLM's name for it, that of Groq and OpenRouter, or Mistral's parts. */
export function reasoningOf(message: JsonObject): string {
  const { reasoning_content: usual, reasoning, content } = message;
  if (typeof usual === 'string' && usual !== '') return usual;
  if (typeof reasoning === 'string') return reasoning;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (isJsonObject(part) ? textOf(part['thinking']) : '')).join('');
}

/** A link as Anthropic's web search cites it. It found nothing, so there is no text of the page and no index to hand back. */
export function citationOf(annotation: Json) {
  const link = isJsonObject(annotation) ? annotation['url_citation'] : null;
  if (!isJsonObject(link) || typeof link['url'] !== 'string' || link['url'] === '') return null;
  const { url, title } = link;
  return {
    type: 'web_search_result_location' as const,
    url,
    title: typeof title === 'string' && title !== '' ? title : null,
    cited_text: '',
    encrypted_index: '',
  };
}

export function textIn(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
