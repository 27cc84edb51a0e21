import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
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
import { headerText, type WireHeaders } from '../retry-after.ts';
import { modelPath } from './path.ts';
import { tokens } from './usage.ts';

/** What OpenAI's embeddings ask for. */
interface Wanted {
  texts: string[];
  dimensions: number | null;
  base64: boolean;
}

const KNOWN = new Set(['model', 'input', 'dimensions', 'encoding_format']);

/** Embeddings by way of InvokeModel, for the models whose words are known. */
export function prepareEmbeddings(ask: Ask): Prepared {
  const request = asked(ask);
  const drops = new Drops(ask.strict);
  const wanted = readWanted(request);
  const { bodies, taken } = bodiesFor(ask.model, wanted, request);
  for (const [name, value] of Object.entries(request)) {
    if (!KNOWN.has(name) && !taken.includes(name) && value !== null) drops.drop(name);
  }
  const calls = bodies.map((body) => [Buffer.from(JSON.stringify(body))]);
  return {
    path: modelPath(ask.model, 'invoke'),
    headers: ['content-type', 'application/json', 'accept', 'application/json'],
    body: calls[0] ?? [],
    dropped: drops.names,
    answer: ({ model }) => new EmbeddingsAnswer(model, wanted, calls),
  };
}

function readWanted(request: JsonObject): Wanted {
  const { input, dimensions = null, encoding_format: encoding = null } = request;
  const texts = Array.isArray(input) ? input : [input];
  if (texts.length === 0) throw new Unsupported('input', 'The input must not be empty.');
  if (!texts.every((text) => typeof text === 'string')) {
    throw new Unsupported('input', 'Only texts can be embedded, not tokens.');
  }
  if (texts.includes('')) throw new Unsupported('input', 'An empty text cannot be embedded.');
  if (
    dimensions !== null &&
    !(typeof dimensions === 'number' && Number.isInteger(dimensions) && dimensions > 0)
  ) {
    throw new Unsupported('dimensions', 'It must be a whole number above 0.');
  }
  if (encoding !== null && encoding !== 'float' && encoding !== 'base64') {
    throw new Unsupported('encoding_format', "Only 'float' and 'base64' are supported.");
  }
  return { texts, dimensions, base64: encoding === 'base64' };
}

/** Of one call or several, each for as many texts as the others. `taken`: further parameters that they have taken up. */
function bodiesFor(
  model: string,
  wanted: Wanted,
  request: JsonObject,
): { bodies: JsonObject[]; taken: string[] } {
  const id = model.toLowerCase();
  if (/titan-embed-text/.test(id)) return { bodies: titanBodies(id, wanted), taken: [] };
  if (/cohere\.embed-/.test(id)) return cohereBody(id, wanted, request);
  throw new Unsupported('model', 'Embeddings of this model are not supported.');
}

/** Ours: each is a call, and they come one after another. */
const MOST_CALLS = 100;

/** Titan takes one text at a time. */
function titanBodies(id: string, { texts, dimensions }: Wanted): JsonObject[] {
  if (texts.length > MOST_CALLS) {
    throw new Unsupported('input', `Only ${MOST_CALLS} texts in a request are supported.`);
  }
  if (dimensions !== null && !/text-v2/.test(id)) {
    throw new Unsupported('dimensions', 'The number of dimensions cannot be chosen.');
  }
  return texts.map((inputText) => ({ inputText, ...(dimensions === null ? {} : { dimensions }) }));
}

/** AWS's bound for one call. */
const MOST_TEXTS = 96;
/** Of Cohere's third generation, which has no choice. */
const FIXED_DIMENSIONS = 1024;

/** `input_type` and `truncate` are Cohere's own: a client may name them. Texts to be searched in are the usual case. */
function cohereBody(
  id: string,
  { texts, dimensions }: Wanted,
  request: JsonObject,
): { bodies: JsonObject[]; taken: string[] } {
  if (texts.length > MOST_TEXTS) {
    throw new Unsupported('input', `Only ${MOST_TEXTS} texts in a request are supported.`);
  }
  const isFixed = /embed-(?:english|multilingual)-v3/.test(id);
  if (isFixed && dimensions !== null && dimensions !== FIXED_DIMENSIONS) {
    throw new Unsupported('dimensions', `Only ${FIXED_DIMENSIONS} dimensions are supported.`);
  }
  const { input_type: inputType, truncate } = request;
  const body = {
    texts,
    input_type: typeof inputType === 'string' ? inputType : 'search_document',
    embedding_types: ['float'],
    ...(typeof truncate === 'string' ? { truncate } : {}),
    ...(dimensions === null || isFixed ? {} : { output_dimension: dimensions }),
  };
  return { bodies: [body], taken: ['input_type', 'truncate'] };
}

class EmbeddingsAnswer implements AnswerReader {
  readonly #model: string;
  readonly #wanted: Wanted;
  readonly #calls: readonly Buffer[][];
  readonly #vectors: number[][] = [];
  #answers = 0;
  /** Tokens; null: one of the calls did not say. */
  #counted: number | null = 0;

  /** `calls`: the bodies of all, the first of which is under way. */
  constructor(model: string, wanted: Wanted, calls: readonly Buffer[][]) {
    this.#model = model;
    this.#wanted = wanted;
    this.#calls = calls;
  }

  plain(value: JsonObject, _bytes: Buffer, headers: WireHeaders): PlainReading {
    const vectors = readVectors(value);
    if (vectors === null) {
      if (typeof value['message'] === 'string')
        return { kind: 'error', error: { error: { message: value['message'] } } };
      return { kind: 'broken', why: 'the answer with status 200 had no embeddings' };
    }
    if (vectors.length !== this.#wanted.texts.length / this.#calls.length) {
      return { kind: 'broken', why: 'the answer had not as many embeddings as were asked for' };
    }
    const tokens = tokensOf(value, headers);
    this.#counted = this.#counted === null || tokens === null ? null : this.#counted + tokens;
    this.#vectors.push(...vectors);
    const next = this.#calls[++this.#answers];
    return next === undefined ? this.#answer() : { kind: 'again', body: next };
  }

  #answer(): PlainReading {
    const counted = this.#counted;
    const data = this.#vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: this.#wanted.base64 ? asBase64(vector) : vector,
    }));
    const answer: JsonObject = {
      object: 'list',
      data,
      model: this.#model,
      usage: { prompt_tokens: counted ?? 0, total_tokens: counted ?? 0 },
    };
    const usage: Usage | null =
      counted === null ? null : { input: counted, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
    return {
      kind: 'answer',
      value: answer,
      body: Buffer.from(JSON.stringify(answer)),
      usage,
      output: () => ({ characters: 0, reasoning: 0 }),
    };
  }

  stream(): never {
    throw new Error('embeddings are not streamed');
  }
}

/** Titan's `embedding`, or Cohere's `embeddings`: a list, or one by type. Null: there are none. */
function readVectors({ embedding, embeddings }: JsonObject): number[][] | null {
  const all =
    embedding === undefined ? (isJsonObject(embeddings) ? embeddings['float'] : embeddings) : [embedding];
  if (!Array.isArray(all)) return null;
  return all.every(isVector) ? all : null;
}

function isVector(value: Json): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number');
}

function tokensOf({ inputTextTokenCount }: JsonObject, headers: WireHeaders): number | null {
  const header = headerText(headers, 'x-amzn-bedrock-input-token-count');
  const counted =
    header !== null && /^\d{1,10}$/.test(header) ? tokens(Number(header)) : tokens(inputTextTokenCount);
  return counted === 0 ? null : counted;
}

/** As OpenAI sends them: 32-bit floats, the lowest byte first. */
function asBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}
