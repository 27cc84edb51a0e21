/** What the tests of Google's adapters share: requests as Google's SDK sends them, and its types for what goes over the wire. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type {
  Candidate,
  Content,
  EmbedContentParameters,
  GenerateContentParameters,
  GenerateContentResponse,
  GenerateContentResponsePromptFeedback,
  GenerateContentResponseUsageMetadata,
  GoogleGenAI,
} from '@google/genai';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Prepared } from '../../../src/providers/adapter.ts';
import { gemini } from '../../../src/providers/gemini/adapter.ts';
import { type AskChanges, askFor, completionOf, sentJson } from '../kit.ts';

/** A request as it went over the wire. */
export interface Sent {
  path: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: JsonObject;
}

/** A server that takes down what it is sent, and the SDK that sends it. */
export async function recorder(
  t: TestContext,
  client: (url: string) => GoogleGenAI,
): Promise<{
  generate(params: GenerateContentParameters): Promise<Sent>;
  stream(params: GenerateContentParameters): Promise<Sent>;
  embed(params: EmbedContentParameters): Promise<Sent>;
}> {
  let last: Sent | null = null;
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    last = {
      path: request.url ?? '',
      headers: request.headers,
      body: JSON.parse(Buffer.concat(pieces).toString()) as JsonObject,
    };
    response.setHeader('content-type', 'application/json');
    response.end('{"candidates":[{"finishReason":"STOP"}],"embeddings":[],"predictions":[]}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const ai = client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const after = async (call: Promise<unknown>): Promise<Sent> => {
    await call;
    if (last === null) throw new Error('nothing was sent');
    // The SDK writes it down even where it says nothing.
    const { generationConfig, ...others } = last.body;
    const isEmpty = JSON.stringify(generationConfig) === '{}';
    return isEmpty ? { ...last, body: others } : last;
  };
  return {
    generate: (params) => after(ai.models.generateContent(params)),
    stream: (params) => after(ai.models.generateContentStream(params)),
    embed: (params) => after(ai.models.embedContent(params)),
  };
}

/** A chat for Gemini, `target-model` by name. */
export function prepare(body: JsonObject, changes: AskChanges = {}): Prepared {
  return gemini.prepare(askFor({ messages: [{ role: 'user', content: 'Hi' }], ...body }, changes));
}

/** What is sent for it. */
export function sent(body: JsonObject, changes: AskChanges = {}): JsonObject {
  return sentJson(prepare(body, changes));
}

/** The contents of what is sent for these messages. */
export function contents(messages: JsonObject[], changes: AskChanges = {}): Content[] {
  return sent({ messages }, changes)['contents'] as unknown as Content[];
}

/** An answer as Google writes it. The SDK's enums are written as their words. */
export type WireResponse = {
  candidates?: (Omit<Candidate, 'finishReason'> & { finishReason?: string })[];
  promptFeedback?: Omit<GenerateContentResponsePromptFeedback, 'blockReason'> & { blockReason?: string };
  usageMetadata?: GenerateContentResponseUsageMetadata & { serviceTier?: string };
} & Pick<GenerateContentResponse, 'modelVersion' | 'responseId' | 'createTime'>;

export function json(response: WireResponse): JsonObject {
  return response as unknown as JsonObject;
}

export const USAGE = { promptTokenCount: 10, candidatesTokenCount: 5, totalTokenCount: 15 };
export type WireCandidate = NonNullable<WireResponse['candidates']>[0];
export type WirePart = NonNullable<NonNullable<WireCandidate['content']>['parts']>[0];

/** A whole answer of one candidate with these parts. */
export function whole(parts: WirePart[], more: WireCandidate = { finishReason: 'STOP' }): WireResponse {
  return { candidates: [{ content: { role: 'model', parts }, ...more }], usageMetadata: USAGE };
}

/** The first choice of the completion that it becomes. */
export function choiceOf(response: WireResponse, n = 1): JsonObject {
  const [choice] = completionOf(prepare({ n }), json(response))['choices'] as JsonObject[];
  assert.ok(choice !== undefined);
  return choice;
}

export function messageOf(response: WireResponse): JsonObject {
  return choiceOf(response)['message'] as JsonObject;
}

/** Events as Google writes them. */
export function bytesOf(events: readonly WireResponse[], delimiter = '\r\n\r\n'): Buffer {
  return Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}${delimiter}`).join(''));
}
