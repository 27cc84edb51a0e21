/** What an answer says and takes, for whichever provider to put into its own words. */
import type { Usage } from '../../src/core/usage.ts';

/** Why an answer ends. */
export type Stop = 'end' | 'length' | 'calls' | 'filter';

/** The same in each provider's word. */
export const WORD_OF_STOP = {
  chat: { end: 'stop', length: 'length', calls: 'tool_calls', filter: 'content_filter' },
  responses: { end: 'completed', length: 'incomplete', calls: 'completed', filter: 'incomplete' },
  messages: { end: 'end_turn', length: 'max_tokens', calls: 'tool_use', filter: 'refusal' },
  converse: { end: 'end_turn', length: 'max_tokens', calls: 'tool_use', filter: 'content_filtered' },
  gemini: { end: 'STOP', length: 'MAX_TOKENS', calls: 'STOP', filter: 'SAFETY' },
} as const;

/** Whose words: OpenAI's chats and responses, Anthropic's messages, Amazon's Converse, Google's generateContent. */
export type Speech = 'chat' | 'responses' | 'messages' | 'converse' | 'gemini';

/** In which words a path is asked for an answer. */
export function speechOf(path: string): Speech {
  if (path.includes('/chat/completions')) return 'chat';
  if (path.includes('/responses')) return 'responses';
  if (path.includes('/messages')) return 'messages';
  return path.includes('/converse') ? 'converse' : 'gemini';
}

/** Tokens, none of them counted twice. */
export interface Counts {
  fresh: number;
  cached: number;
  /** Written to the cache for five minutes, and for an hour. */
  written: number;
  writtenForHour: number;
  answer: number;
  thoughts: number;
}

export interface Saying {
  /** Shown by Anthropic, Amazon and Google; OpenAI only counts it. */
  thoughts?: readonly string[];
  signature?: string;
  text?: readonly string[];
  /** `arguments`: pieces of JSON text. */
  calls?: readonly { id: string; name: string; arguments: readonly string[] }[];
  /** `end`, or `calls` where there are some, unless said. */
  stop?: Stop;
  counts: Counts;
}

export const COUNTS: Counts = {
  fresh: 1000,
  cached: 400,
  written: 200,
  writtenForHour: 100,
  answer: 300,
  thoughts: 120,
};

/** What the provider reports of these counts, by its own field names' meaning. */
export function reportedBy(speech: Speech, counts: Counts): Usage {
  const { fresh, cached, written, writtenForHour, answer, thoughts } = counts;
  const all = {
    input: fresh + cached + written + writtenForHour,
    output: answer + thoughts,
    cached,
    cacheWrite: written + writtenForHour,
    reasoning: thoughts,
  };
  switch (speech) {
    case 'chat':
    case 'responses':
      return all;
    case 'messages':
      return { ...all, cacheWriteHour: writtenForHour };
    case 'converse':
      return { ...all, cacheWriteHour: writtenForHour, reasoning: 0 };
    case 'gemini':
      return { ...all, cacheWrite: 0 };
  }
}

export function stopOf({ stop, calls = [] }: Saying): Stop {
  return stop ?? (calls.length > 0 ? 'calls' : 'end');
}

/** Its text, whole. */
export function textOf({ text = [] }: Saying): string {
  return text.join('');
}

export type Call = NonNullable<Saying['calls']>[number];

/** A server-sent event. */
export function data(event: object): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}

/** One that has its type twice, as Anthropic and OpenAI's responses do. */
export function namedEvent(event: { type: string }): string {
  return `event: ${event.type}\n${data(event)}`;
}
