import type { AnswerWriter } from '../../chat/writer.ts';
import { isJsonObject, type Json } from '../../core/json.ts';

/** The tier that the answer was made in. */
export function tellTier(tier: Json | undefined, writer: AnswerWriter): void {
  if (isJsonObject(tier) && typeof tier['type'] === 'string') writer.extra('service_tier', tier['type']);
}
