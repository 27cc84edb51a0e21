import type { TestContext } from 'node:test';
import OpenAI from 'openai';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

export interface Relayed {
  gateway: TestGateway;
  client: OpenAI;
  /** Speaks the responses API. */
  native: Upstream;
  /** Speaks OpenAI's chat completions only. */
  chat: Upstream;
  /** Speaks Anthropic's Messages. */
  claude: Upstream;
  /** Speaks Google's generateContent. */
  gemini: Upstream;
  /** The SDK before another gateway of the same kind, which remembers nothing of what passed through the first. */
  elsewhere(): Promise<OpenAI>;
}

/**
 * The SDK, the gateway, and a stand-in for each kind of host: `native`, `chat`, `claude` and `gemini` stand for one each, `from_native` and `from_claude` begin
 * there and fall back to the other of the two.
 */
export async function relayed(t: TestContext, config: object = {}): Promise<Relayed> {
  const upstreams = await Promise.all(Array.from({ length: 4 }, () => startUpstream()));
  const [native, chat, claude, gemini] = upstreams as [Upstream, Upstream, Upstream, Upstream];
  for (const upstream of upstreams) t.after(() => upstream.close());
  const target = {
    native: { provider: 'n', model: 'gpt-6.2-sol' },
    chat: { provider: 'c', model: 'some-model' },
    claude: { provider: 'a', model: 'claude-opus-5' },
    gemini: { provider: 'g', model: 'gemini-3.8-flash' },
  };
  const all = {
    providers: {
      n: { adapter: 'openai', base_url: native.url, api_key: 'sk-n' },
      c: { adapter: 'vllm', base_url: chat.url, api_key: 'sk-c' },
      a: { adapter: 'anthropic', base_url: claude.url, api_key: 'sk-a' },
      g: { adapter: 'gemini', base_url: gemini.url, api_key: 'sk-g' },
    },
    defaults: { retry: { attempts: 0 } },
    models: {
      ...target,
      from_native: { strategy: { mode: 'fallback' }, targets: [target.native, target.claude] },
      from_claude: { strategy: { mode: 'fallback' }, targets: [target.claude, target.native] },
    },
    ...config,
  };
  const start = async () => {
    const gateway = await startGateway(all);
    t.after(() => gateway.close());
    const client = new OpenAI({ baseURL: gateway.url, apiKey: 'sk-of-the-client', maxRetries: 0 });
    return { gateway, client };
  };
  const elsewhere = async () => (await start()).client;
  return { ...(await start()), native, chat, claude, gemini, elsewhere };
}

export const WEATHER: OpenAI.Responses.FunctionTool = {
  type: 'function',
  name: 'weather',
  description: 'The weather in a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  strict: null,
};

/** A Response as OpenAI gives it. */
export function nativeResponse(output: OpenAI.Responses.ResponseOutputItem[], more: object = {}) {
  return {
    id: 'resp_native',
    object: 'response',
    created_at: 1_790_000_000,
    status: 'completed',
    error: null,
    incomplete_details: null,
    instructions: null,
    model: 'gpt-6.2-sol',
    output,
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    metadata: {},
    usage: {
      input_tokens: 20,
      input_tokens_details: { cached_tokens: 8, cache_write_tokens: 0 },
      output_tokens: 9,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 29,
    },
    ...more,
  };
}

/** What OpenAI answers in words. */
export function said(text: string): OpenAI.Responses.ResponseOutputMessage {
  return {
    id: 'msg_native',
    type: 'message',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text, annotations: [], logprobs: [] }],
  };
}

/** An answer as Anthropic gives it. */
export function claudeMessage(content: object[], reason: string) {
  return {
    id: 'msg_claude',
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5',
    content,
    stop_reason: reason,
    stop_sequence: null,
    usage: {
      input_tokens: 12,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 8,
      output_tokens: 9,
    },
  };
}

/** The same as the events of a stream. */
export function claudeEvents(content: { type: string }[], reason: string): string[] {
  const { stop_reason: _, usage, ...message } = claudeMessage([], reason);
  const events: { type: string; [name: string]: unknown }[] = [
    {
      type: 'message_start',
      message: { ...message, stop_reason: null, usage: { ...usage, output_tokens: 1 } },
    },
  ];
  for (const [index, block] of content.entries()) {
    const [start, deltas] = inDeltas(block as Record<string, unknown>);
    events.push({ type: 'content_block_start', index, content_block: start });
    for (const delta of deltas) events.push({ type: 'content_block_delta', index, delta });
    events.push({ type: 'content_block_stop', index });
  }
  events.push(
    {
      type: 'message_delta',
      delta: { stop_reason: reason, stop_sequence: null },
      usage: { output_tokens: 9 },
    },
    { type: 'message_stop' },
  );
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}`);
}

function inDeltas(block: Record<string, unknown>): [object, object[]] {
  switch (block['type']) {
    case 'thinking':
      return [
        { ...block, thinking: '', signature: '' },
        [
          { type: 'thinking_delta', thinking: block['thinking'] },
          { type: 'signature_delta', signature: block['signature'] },
        ],
      ];
    case 'text':
      return [{ ...block, text: '' }, [{ type: 'text_delta', text: block['text'] }]];
    case 'tool_use': {
      const input = JSON.stringify(block['input']);
      const half = Math.ceil(input.length / 2);
      return [
        { ...block, input: {} },
        ['', input.slice(0, half), input.slice(half)].map((partial_json) => ({
          type: 'input_json_delta',
          partial_json,
        })),
      ];
    }
    default:
      return [block, []];
  }
}
