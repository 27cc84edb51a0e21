import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Ask, Prepared } from '../adapter.ts';
import { type BatchReading, embeddingsAnswer, readEmbeddingsRequest } from './embeddings-batches.ts';
import type { Home } from './home.ts';
import { UsageReader } from './usage.ts';

/** `batchEmbedContents` takes no more texts at once. */
const MOST_TEXTS = 100;

/** OpenAI's embeddings from the Gemini API. */
export function prepareEmbeddings(ask: Ask, home: Home): Prepared {
  const asked = readEmbeddingsRequest(ask);
  const path = home.modelPath(ask.model, ask.provider);
  // Each text of a batch names the model again.
  const model = decodeURIComponent(path.slice(path.search(/(?:tunedM|m)odels\//)));
  const batchOf = (texts: readonly string[]): JsonObject => ({
    requests: texts.map((text) => ({
      model,
      content: { role: 'user', parts: [{ text }] },
      ...(asked.dimensions === null ? {} : { outputDimensionality: asked.dimensions }),
    })),
  });
  return embeddingsAnswer(asked, {
    path: `${path}:batchEmbedContents`,
    most: MOST_TEXTS,
    batchOf,
    read: readBatch,
  });
}

function readBatch(answer: JsonObject): BatchReading | null {
  const { embeddings, usageMetadata } = answer;
  if (!Array.isArray(embeddings)) return null;
  return { vectors: embeddings.map(valuesOf), tokens: promptTokens(usageMetadata) };
}

/** The `values` of an embedding; null for what is none. */
export function valuesOf(embedding: Json | undefined): number[] | null {
  const values = isJsonObject(embedding) ? embedding['values'] : null;
  if (!Array.isArray(values) || values.length === 0) return null;
  return values.every((value) => typeof value === 'number') ? values : null;
}

/** Null where it is not said. */
export function promptTokens(usageMetadata: Json | undefined): number | null {
  const reader = new UsageReader();
  reader.read(usageMetadata);
  return reader.usage?.input ?? null;
}
