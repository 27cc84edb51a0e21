import type { TestContext } from 'node:test';
import Anthropic, { type ClientOptions } from '@anthropic-ai/sdk';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** Anthropic's official SDK before this gateway, as an application would set it up but for its retries. */
export function sdk(gateway: TestGateway, options: ClientOptions = {}): Anthropic {
  return new Anthropic({ baseURL: gateway.origin, apiKey: 'sk-of-the-client', maxRetries: 0, ...options });
}

export interface Relayed {
  gateway: TestGateway;
  client: Anthropic;
  /** Speaks OpenAI's chat completions. */
  openai: Upstream;
  /** Speaks Anthropic's Messages. */
  claude: Upstream;
}

/** The SDK, the gateway, and a stand-in for each kind of host: `m` is OpenAI's, `claude` Anthropic's; `both` goes from Anthropic's to OpenAI's. */
export async function relayed(t: TestContext, config: object = {}): Promise<Relayed> {
  const openai = await startUpstream();
  const claude = await startUpstream();
  t.after(() => openai.close());
  t.after(() => claude.close());
  const gateway = await startGateway({
    providers: {
      o: { adapter: 'vllm', base_url: openai.url, api_key: 'sk-o' },
      a: { adapter: 'anthropic', base_url: claude.url, api_key: 'sk-a' },
    },
    defaults: { retry: { attempts: 0 } },
    models: {
      m: { provider: 'o', model: 'some-model' },
      claude: { provider: 'a', model: 'claude-opus-5' },
      both: {
        strategy: { mode: 'fallback' },
        targets: [
          { provider: 'a', model: 'claude-opus-5' },
          { provider: 'o', model: 'some-model' },
        ],
      },
      either: {
        strategy: { mode: 'fallback' },
        targets: [
          { provider: 'o', model: 'some-model' },
          { provider: 'a', model: 'claude-opus-5' },
        ],
      },
    },
    ...config,
  });
  t.after(() => gateway.close());
  return { gateway, client: sdk(gateway), openai, claude };
}

/** What a user says. */
export const HELLO = {
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Hello' }],
} satisfies Omit<Anthropic.MessageCreateParams, 'model'>;

export const WEATHER = {
  name: 'weather',
  description: 'The weather in a city',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
} satisfies Anthropic.Tool;

/** An answer as Anthropic gives it. */
export function message(
  content: Anthropic.ContentBlock[],
  reason: Anthropic.StopReason = 'end_turn',
): Anthropic.Message {
  return {
    id: 'msg_native',
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5',
    content,
    container: null,
    diagnostics: null,
    stop_details: null,
    stop_reason: reason,
    stop_sequence: null,
    usage: {
      input_tokens: 20,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      cache_creation: null,
      output_tokens: 9,
      output_tokens_details: null,
      inference_geo: null,
      server_tool_use: null,
      service_tier: 'standard',
      speed: null,
    },
  };
}
