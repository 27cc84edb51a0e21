import type { AnswerFacts } from '../../chat/writer.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import {
  type AnswerReader,
  type Ask,
  asked,
  Drops,
  type PlainReading,
  type Prepared,
  Unsupported,
} from '../adapter.ts';
import { inOrder, print } from './request.ts';

/** A request for embeddings, read. */
export interface EmbeddingsRequest {
  texts: readonly string[];
  /** Null: as many as the model gives. */
  dimensions: number | null;
  /** The vectors are wanted as base64 of 32-bit numbers, as OpenAI's SDKs ask for unasked. */
  base64: boolean;
  dropped: readonly string[];
}

/** What a call brought: a vector for each of its texts (null: none that can be read), and the tokens of its texts, if it said. */
export interface BatchReading {
  vectors: readonly (number[] | null)[];
  tokens: number | null;
}

/** How a provider is asked for embeddings: some texts with each call. */
export interface BatchCalls {
  path: string;
  /** Texts in one call. */
  most: number;
  batchOf(texts: readonly string[]): JsonObject;
  /** Null: it is no answer. */
  read(answer: JsonObject): BatchReading | null;
}

const KNOWN = new Set(['model', 'input', 'dimensions', 'encoding_format']);

/** Throws `Unsupported` for tokens in place of texts: other models have others. */
export function readEmbeddingsRequest(ask: Ask): EmbeddingsRequest {
  const request = asked(ask);
  const { input, dimensions, encoding_format: format } = request;
  const texts = typeof input === 'string' ? [input] : input;
  if (!Array.isArray(texts) || texts.length === 0 || !texts.every((text) => typeof text === 'string')) {
    throw new Unsupported('input', 'Only texts are supported, not tokens.');
  }
  const drops = new Drops(ask.strict);
  // Overrides may be meant for the chats of the same target: only what the client asked for is missed.
  for (const [name, value] of Object.entries(ask.body.value)) {
    if (!KNOWN.has(name) && value !== null && value !== false) drops.drop(name);
  }
  return {
    texts,
    dimensions: typeof dimensions === 'number' && Number.isInteger(dimensions) ? dimensions : null,
    base64: format === 'base64',
    dropped: inOrder(drops.names, request),
  };
}

/** The first call, and a reader that asks for the others one after another. */
export function embeddingsAnswer(request: EmbeddingsRequest, calls: BatchCalls): Prepared {
  const bodies: Buffer[] = [];
  for (let at = 0; at < request.texts.length; at += calls.most) {
    bodies.push(print(calls.batchOf(request.texts.slice(at, at + calls.most))));
  }
  return {
    path: calls.path,
    headers: [],
    body: bodies.slice(0, 1),
    dropped: request.dropped,
    answer: (facts) => new BatchesReader(facts, request, bodies, calls),
  };
}

class BatchesReader implements AnswerReader {
  readonly #facts: AnswerFacts;
  readonly #request: EmbeddingsRequest;
  readonly #bodies: readonly Buffer[];
  readonly #calls: BatchCalls;
  readonly #vectors: number[][] = [];
  #answers = 0;
  /** Null: one of the calls did not say. */
  #tokens: number | null = 0;

  constructor(facts: AnswerFacts, request: EmbeddingsRequest, bodies: readonly Buffer[], calls: BatchCalls) {
    this.#facts = facts;
    this.#request = request;
    this.#bodies = bodies;
    this.#calls = calls;
  }

  plain(value: JsonObject): PlainReading {
    if (value['error']) return { kind: 'error', error: value };
    const { texts } = this.#request;
    const { most } = this.#calls;
    const reading = this.#calls.read(value);
    const expected = Math.min(most, texts.length - this.#answers * most);
    this.#answers++;
    if (reading === null || reading.vectors.length !== expected || !reading.vectors.every(isVector)) {
      return { kind: 'broken', why: 'the answer with status 200 had not an embedding for each text' };
    }
    this.#vectors.push(...reading.vectors);
    this.#tokens = this.#tokens === null || reading.tokens === null ? null : this.#tokens + reading.tokens;
    const next = this.#bodies[this.#answers];
    return next === undefined ? this.#answer() : { kind: 'again', body: [next] };
  }

  stream(): ReturnType<AnswerReader['stream']> {
    // Nobody streams these; whatever comes is no answer.
    const translator = {
      event: (_data: string, _type: string, sink: { broken(why: string): void }) =>
        sink.broken('embeddings came as a stream'),
      end: () => null,
    };
    return { kind: 'translated', translator };
  }

  #answer(): PlainReading {
    const tokens = this.#tokens;
    const value: JsonObject = {
      object: 'list',
      data: this.#vectors.map(
        (vector, index): Json => ({
          object: 'embedding',
          index,
          embedding: this.#request.base64 ? base64Of(vector) : vector,
        }),
      ),
      model: this.#facts.model,
      usage: { prompt_tokens: tokens ?? 0, total_tokens: tokens ?? 0 },
    };
    const usage: Usage | null =
      tokens === null ? null : { input: tokens, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
    return {
      kind: 'answer',
      value,
      body: Buffer.from(JSON.stringify(value)),
      usage,
      output: () => ({ characters: 0, reasoning: 0 }),
    };
  }
}

function isVector(vector: number[] | null): vector is number[] {
  return vector !== null;
}

/** 32-bit numbers, the low byte first. */
function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}
