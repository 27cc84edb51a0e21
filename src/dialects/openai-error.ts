import type { JsonObject } from '../core/json.ts';
import type { ErrorFields } from './dialect.ts';

/** The body of an error answer, as OpenAI writes it in all of its dialects. */
export function openaiError({ message, type, param, code }: ErrorFields): JsonObject {
  return { error: { message, type, param, code } };
}
