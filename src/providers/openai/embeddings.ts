import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { AnswerReader, Ask, PlainReading } from '../adapter.ts';
import type { FittedBody } from './chat-body.ts';
import { ChunkReader, readUsage } from './chunk.ts';

/** The overrides that mean something here; the others are about chats, and are refused by hosts. */
const PARAMETERS: ReadonlySet<string> = new Set([
  'dimensions',
  'encoding_format',
  'user',
  'input',
  'input_type',
  'truncate',
  'output_dimension',
  'output_dtype',
]);

/** The client's body with the target's model and overrides. */
export function fitEmbeddings({ body, overrideParams, model }: Ask): FittedBody {
  const changes = new Map<string, Json>();
  for (const [name, value] of Object.entries(overrideParams)) {
    if (PARAMETERS.has(name)) changes.set(name, value);
  }
  if (body.value['model'] !== model) changes.set('model', model);
  return { body: body.with(changes), dropped: [] };
}

export const embeddingsAnswer: () => AnswerReader = () => ({
  plain: readEmbeddings,
  // Nobody streams these; whatever comes is no answer.
  stream: () => ({ kind: 'relayed', reader: new ChunkReader(1) }),
});

function readEmbeddings(value: JsonObject, bytes: Buffer): PlainReading {
  if (value['error'] || value['object'] === 'error') return { kind: 'error', error: value };
  const { data, usage } = value;
  if (!Array.isArray(data) || data.length === 0) {
    return { kind: 'broken', why: 'the answer with status 200 had no embeddings' };
  }
  return {
    kind: 'answer',
    value,
    body: bytes,
    usage: isJsonObject(usage) ? promptUsage(usage) : null,
    output: () => ({ characters: 0, reasoning: 0 }),
  };
}

/** Some hosts only tell the total, which is the prompt. */
function promptUsage(usage: JsonObject) {
  const prompt = usage['prompt_tokens'] ?? usage['total_tokens'] ?? null;
  return readUsage({
    ...usage,
    prompt_tokens: prompt,
    completion_tokens: 0,
    completion_tokens_details: null,
  });
}
