import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import type { JsonObject } from '../../../src/core/json.ts';
import type { ClientRequest } from '../../../src/dialects/dialect.ts';
import { responses } from '../../../src/dialects/responses/responses.ts';
import { SseDecoder } from '../../../src/sse/decoder.ts';

export type CreateParams = OpenAI.Responses.ResponseCreateParams;
export type StreamEvent = OpenAI.Responses.ResponseStreamEvent;
/** As it goes over the wire: `output_text` is what the SDK makes of it. */
export type WireResponse = Omit<OpenAI.Responses.Response, 'output_text'>;

/** A request as a client would send it. */
export function read(params: CreateParams | JsonObject): ClientRequest {
  return responses.read(Buffer.from(JSON.stringify(params)));
}

/** What a request becomes for targets that only know chat. */
export function toChat(params: CreateParams | JsonObject): JsonObject {
  return read(params).chat().value;
}

/** The messages that an input becomes. */
export function messagesOf(input: CreateParams['input'] | JsonObject[]): JsonObject[] {
  return toChat({ model: 'm', input: input as CreateParams['input'] & {} })['messages'] as JsonObject[];
}

export const ID = '0f3a';
export const CREATED = 1_790_000_000;

/** A whole answer, from a chat completion. */
export function answerTo(params: CreateParams, completion: JsonObject): WireResponse {
  return responses.answer(completion, read(params), ID) as unknown as WireResponse;
}

/** The bytes of a stream that ends as it should. */
export function streamOf(params: CreateParams, chunks: readonly JsonObject[]): Buffer {
  const presenter = responses.presenter(read(params), ID, CREATED);
  const pieces = chunks.map((chunk) => presenter.chunk(chunk) ?? Buffer.alloc(0));
  return Buffer.concat([...pieces, presenter.end(false) ?? Buffer.alloc(0)]);
}

/** The events in these bytes; each must name its type twice, and be all that there is. */
export function eventsIn(bytes: Buffer): StreamEvent[] {
  const events: StreamEvent[] = [];
  const decoder = new SseDecoder(
    {
      event(data, type) {
        const event = JSON.parse(data) as StreamEvent;
        assert.equal(type, event.type);
        events.push(event);
      },
    },
    1 << 24,
  );
  decoder.push(bytes);
  decoder.end();
  return events;
}

/** An SDK that is given these bytes, each piece by itself, whatever it asks. */
export function clientOf(pieces: readonly Buffer[]): OpenAI {
  const body = () =>
    new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    });
  return new OpenAI({
    apiKey: 'sk',
    baseURL: 'http://gateway.test/v1',
    maxRetries: 0,
    fetch: async () => new Response(body(), { headers: { 'content-type': 'text/event-stream' } }),
  });
}

/** Gives these bytes to whoever asks, one piece after the other, while `use` runs with an SDK that asks for them. */
export async function served<Result>(
  pieces: readonly Buffer[],
  type: 'text/event-stream' | 'application/json',
  use: (client: OpenAI) => Promise<Result>,
): Promise<Result> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': type });
      for (const piece of pieces) response.write(piece);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    return await use(new OpenAI({ apiKey: 'sk', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 }));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A chunk of a chat completion. */
export function chunk(delta: JsonObject, finish: string | null = null, more: JsonObject = {}): JsonObject {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: CREATED,
    model: 'model-x',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...more,
  };
}

export const USAGE: JsonObject = {
  prompt_tokens: 20,
  completion_tokens: 9,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 8, cache_write_tokens: 4 },
  completion_tokens_details: { reasoning_tokens: 5 },
};

export const USAGE_CHUNK: JsonObject = { ...chunk({}), choices: [], usage: USAGE };

export function completion(message: JsonObject, finish = 'stop', more: JsonObject = {}): JsonObject {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: CREATED,
    model: 'model-x',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: null, refusal: null, ...message },
        logprobs: null,
        finish_reason: finish,
      },
    ],
    usage: USAGE,
    ...more,
  };
}
