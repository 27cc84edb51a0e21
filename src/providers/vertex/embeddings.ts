import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Ask, Prepared } from '../adapter.ts';
import { promptTokens, valuesOf } from '../gemini/embeddings.ts';
import { type BatchReading, embeddingsAnswer, readEmbeddingsRequest } from '../gemini/embeddings-batches.ts';
import type { Home } from '../gemini/home.ts';

/** `predict` takes so many texts at once of all but Google's larger models, which take one. */
const MOST_TEXTS = 250;

/** OpenAI's embeddings from Vertex: newer models have a method for them, older ones take them as predictions. */
export function prepareEmbeddings(ask: Ask, home: Home): Prepared {
  const asked = readEmbeddingsRequest(ask);
  const path = home.modelPath(ask.model, ask.provider);
  const size = asked.dimensions === null ? {} : { outputDimensionality: asked.dimensions };
  const hasSize = asked.dimensions !== null;
  if (hasMethod(ask.model)) {
    return embeddingsAnswer(asked, {
      path: `${path}:embedContent`,
      most: 1,
      batchOf: ([text = '']) => ({
        content: { role: 'user', parts: [{ text }] },
        ...(hasSize ? { embedContentConfig: size } : {}),
      }),
      read: readEmbedding,
    });
  }
  return embeddingsAnswer(asked, {
    path: `${path}:predict`,
    most: ask.model.includes('gemini') ? 1 : MOST_TEXTS,
    batchOf: (texts) => ({
      instances: texts.map((content) => ({ content })),
      ...(hasSize ? { parameters: size } : {}),
    }),
    read: readPredictions,
  });
}

/** Which models have `embedContent`: as Google's SDK tells them apart. */
function hasMethod(model: string): boolean {
  return (model.includes('gemini') && !model.endsWith('gemini-embedding-001')) || model.includes('maas');
}

function readEmbedding({ embedding, usageMetadata }: JsonObject): BatchReading {
  return { vectors: [valuesOf(embedding)], tokens: promptTokens(usageMetadata) };
}

function readPredictions({ predictions }: JsonObject): BatchReading | null {
  if (!Array.isArray(predictions)) return null;
  const embeddings = predictions.map((one) => (isJsonObject(one) ? one['embeddings'] : undefined));
  const counts = embeddings.map(tokensOf);
  return {
    vectors: embeddings.map(valuesOf),
    tokens: counts.reduce<number | null>(
      (sum, count) => (sum === null || count === null ? null : sum + count),
      0,
    ),
  };
}

function tokensOf(embedding: Json | undefined): number | null {
  const statistics = isJsonObject(embedding) ? embedding['statistics'] : null;
  if (!isJsonObject(statistics)) return null;
  return promptTokens({ promptTokenCount: statistics['token_count'] ?? null });
}
