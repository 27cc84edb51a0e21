/**
 * One conversation of three turns with tools, for every adapter: two calls at once, then one, then the answer, with reasoning before each. The upstream is a mock
 * server that speaks all the providers' dialects.
 */
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { type ChatCompletionRequest, LLMock } from '@copilotkit/aimock';
import { startGateway, type TestGateway } from '../support/gateway.ts';

export const ADAPTERS = ['openai', 'azure', 'anthropic', 'bedrock', 'gemini', 'vertex'] as const;
export type AdapterName = (typeof ADAPTERS)[number];

/** What each adapter asks for in these tests. */
export const MODELS: Readonly<Record<AdapterName, string>> = {
  openai: 'gpt-6.2-sol',
  azure: 'gpt-6.2-terra',
  anthropic: 'claude-opus-5-5',
  bedrock: 'us.anthropic.claude-opus-5-5-v1:0',
  gemini: 'gemini-4-argon',
  vertex: 'gemini-3.5-flash',
};

/** A target whose model is named so dies once a tool has answered: in the middle of the loop. */
const DYING = '-dying';

export const QUESTION = 'Where is it warmer today, in Paris or in Rome? Book a table in the warmer one.';
export const THOUGHTS = ['I need the weather of both.', 'Rome is warmer, so Rome it is.', 'All is done.'];
export const ANSWER = 'Rome is warmer, at 25 degrees, and your table is booked.';
export const FIRST_CALLS = [
  { name: 'get_weather', arguments: { city: 'Paris', note: 'été "ça va"' } },
  { name: 'get_weather', arguments: { city: 'Rome' } },
];
export const SECOND_CALL = { name: 'book_table', arguments: { city: 'Rome', seats: 2 } };

/** What the tools answer. */
export function runTool(name: string, { city }: { city?: unknown }): string {
  if (name === 'book_table') return 'booked';
  return city === 'Rome' ? '25 degrees' : '21 degrees';
}

/** As JSON Schema, for whatever SDK. */
export const TOOLS = [
  {
    name: 'get_weather',
    description: 'The weather in a city',
    schema: {
      type: 'object' as const,
      properties: { city: { type: 'string' }, note: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
  {
    name: 'book_table',
    description: 'Books a table',
    schema: {
      type: 'object' as const,
      properties: { city: { type: 'string' }, seats: { type: 'integer' } },
      required: ['city', 'seats'],
      additionalProperties: false,
    },
  },
];

function resultsIn({ messages }: ChatCompletionRequest): number {
  return messages.filter(({ role }) => role === 'tool').length;
}

async function startMock(): Promise<LLMock> {
  const mock = new LLMock({ port: 0, logLevel: 'silent' });
  const usage = {
    prompt_tokens: 40,
    completion_tokens: 12,
    input_tokens: 40,
    output_tokens: 12,
    promptTokenCount: 40,
    candidatesTokenCount: 12,
  };
  mock.addFixture({
    match: { predicate: (request) => String(request.model).includes(DYING) && resultsIn(request) > 0 },
    response: { error: { message: 'The server is overloaded', type: 'overloaded_error' }, status: 503 },
  });
  const calls = (made: typeof FIRST_CALLS | [typeof SECOND_CALL]) =>
    made.map(({ name, arguments: args }) => ({ name, arguments: JSON.stringify(args) }));
  mock.addFixture({
    match: { predicate: (request) => resultsIn(request) === 0 },
    response: {
      toolCalls: calls(FIRST_CALLS),
      reasoning: THOUGHTS[0] as string,
      reasoningSignature: 'c2lnbmVkLTE=',
      usage,
    },
    chunkSize: 7,
  });
  mock.addFixture({
    match: { predicate: (request) => resultsIn(request) === 2 },
    response: {
      toolCalls: calls([SECOND_CALL]),
      reasoning: THOUGHTS[1] as string,
      reasoningSignature: 'c2lnbmVkLTI=',
      usage,
    },
    chunkSize: 7,
  });
  mock.addFixture({
    match: { predicate: (request) => resultsIn(request) === 3 },
    response: { content: ANSWER, reasoning: THOUGHTS[2] as string, usage },
    chunkSize: 7,
  });
  await mock.start();
  return mock;
}

export interface Sent {
  path: string;
  body: string;
}

/** Stands before a server, and keeps what it is sent. */
async function record(upstream: string): Promise<{ url: string; sent: Sent[]; close(): void }> {
  const sent: Sent[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    sent.push({ path: request.url ?? '', body: body.toString() });
    const { method, headers } = request;
    const onward = forward(new URL(request.url ?? '', upstream), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    onward.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    sent,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

export interface Loop {
  gateway: TestGateway;
  mock: LLMock;
  /** What came to the upstream, as it came: the mock server keeps only what it understood. */
  sent(): Sent[];
}

/** A gateway in front of the mock server: a model for each adapter, and one for each pair of which the first dies in the middle of the loop. */
export async function startLoop(t: TestContext): Promise<Loop> {
  const mock = await startMock();
  t.after(() => mock.stop());
  const recorder = await record(mock.url);
  t.after(() => recorder.close());
  const { url } = recorder;
  const providers = {
    openai: { adapter: 'openai', base_url: `${url}/v1`, api_key: 'sk-openai' },
    azure: { adapter: 'azure', base_url: `${url}/openai/v1`, api_key: 'azure-key' },
    anthropic: { adapter: 'anthropic', base_url: url, api_key: 'sk-ant' },
    bedrock: { adapter: 'bedrock', base_url: url, region: 'us-east-1', api_key: 'bedrock-key' },
    gemini: { adapter: 'gemini', base_url: url, api_key: 'gemini-key' },
    vertex: {
      adapter: 'vertex',
      base_url: url,
      project: 'p',
      location: 'us-central1',
      api_key: 'vertex-key',
    },
  };
  const models: Record<string, object> = {};
  for (const adapter of ADAPTERS) {
    models[adapter] = { provider: adapter, model: MODELS[adapter] };
    for (const other of ADAPTERS) {
      models[`${adapter}-then-${other}`] = {
        strategy: { mode: 'fallback' },
        targets: [
          { provider: adapter, model: `${MODELS[adapter]}${DYING}`, retry: { attempts: 0 } },
          { provider: other, model: MODELS[other] },
        ],
      };
    }
  }
  // The same targets die again and again here.
  const defaults = { breaker: { consecutive_failures: 1000, min_requests: 1000 } };
  const gateway = await startGateway({ providers, models, defaults });
  t.after(() => gateway.close());
  return {
    gateway,
    mock,
    sent: () => recorder.sent,
  };
}
