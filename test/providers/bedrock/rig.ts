/** What the tests of Bedrock share: requests held to the vendor's SDK, and frames as the vendor's codec writes them. */
import assert from 'node:assert/strict';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import type { Prepared } from '../../../src/providers/adapter.ts';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import { type AskChanges, askFor, sentJson } from '../kit.ts';

export const CLAUDE = 'us.anthropic.claude-opus-4-6-v1:0';
export const NOVA = 'us.amazon.nova-2-lite-v1:0';
export const MISTRAL = 'mistral.mistral-large-2407-v1:0';
export const OPEN = 'openai.gpt-oss-120b-1:0';
export const LLAMA = 'us.meta.llama4-maverick-17b-instruct-v1:0';

/** A request as the vendor's types have it. */
export type Expected = Omit<ConverseCommandInput, 'modelId'>;

export const HELLO: JsonObject = { messages: [{ role: 'user', content: 'Hello' }] };
const HELLO_SENT: Expected['messages'] = [{ role: 'user', content: [{ text: 'Hello' }] }];

export function prepare(request: JsonObject, changes: AskChanges = {}): Prepared {
  return bedrock.prepare(askFor({ model: 'client-model', ...request }, { model: CLAUDE, ...changes }));
}

/** Holds what is sent for a request to what is expected; `expected.messages` left out: those of HELLO. */
export async function sends(
  request: JsonObject,
  expected: Expected,
  changes: AskChanges = {},
): Promise<Prepared> {
  const prepared = prepare(request, changes);
  const sent = sentJson(prepared);
  const whole: Expected = { messages: HELLO_SENT, ...expected };
  assert.deepEqual(sent, onWire(whole as Wire));
  const model = changes.model ?? CLAUDE;
  const official = await throughSdk({ modelId: model, ...whole }, changes.streaming ?? false);
  assert.deepEqual(sent, official.body);
  assert.equal(prepared.path, official.path);
  return prepared;
}

type Wire = Json | Uint8Array | undefined | Wire[] | { [name: string]: Wire };

/** Bytes are base64 in JSON. */
function onWire(value: Wire): Json {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(onWire);
  if (typeof value !== 'object' || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, onWire(inner)]));
}

class Captured extends Error {}

let captured: { path: string; body: string } | null = null;
const client = new BedrockRuntimeClient({
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'not-a-secret' },
  maxAttempts: 1,
  requestHandler: {
    async handle(request: { path: string; body: unknown }) {
      captured = { path: request.path, body: new TextDecoder().decode(request.body as Uint8Array) };
      throw new Captured('it was only to be seen');
    },
  },
});

/** What the official SDK would send. */
export async function throughSdk(
  input: ConverseCommandInput,
  streaming: boolean,
): Promise<{ path: string; body: Json }> {
  captured = null;
  const call = streaming
    ? client.send(new ConverseStreamCommand(input))
    : client.send(new ConverseCommand(input));
  await assert.rejects(call, Captured);
  assert.ok(captured);
  const { path, body } = captured as { path: string; body: string };
  return { path, body: JSON.parse(body) as Json };
}

export const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString(),
  (text) => Buffer.from(text),
);

export function frameWith(headers: Readonly<Record<string, string>>, payload: string): Buffer {
  const typed = Object.entries(headers).map(([name, value]) => [name, { type: 'string' as const, value }]);
  return Buffer.from(codec.encode({ headers: Object.fromEntries(typed), body: Buffer.from(payload) }));
}

/** An event of ConverseStream, with the padding that AWS puts in. */
export function frame(type: string, payload: JsonObject): Buffer {
  return frameWith(
    { ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' },
    JSON.stringify({ ...payload, p: 'abcdefghijk' }),
  );
}

export function exception(name: string, payload: JsonObject): Buffer {
  return frameWith(
    { ':exception-type': name, ':content-type': 'application/json', ':message-type': 'exception' },
    JSON.stringify(payload),
  );
}

/** `{"messageStart":{…}}` and so on, in order. */
export function frames(events: readonly JsonObject[]): Buffer {
  return Buffer.concat(
    events.flatMap((event) =>
      Object.entries(event).map(([type, payload]) => frame(type, payload as JsonObject)),
    ),
  );
}
