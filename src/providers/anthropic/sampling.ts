import type { ModelCapabilities } from '../../capabilities/capabilities.ts';
import type { Conversation } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';

/** Anthropic's; OpenAI's goes to 2. */
const HOTTEST = 1;

/** `temperature`, `top_p`, `top_k` as far as the model takes them. 1 is what holds without them: then nothing is lost by leaving them out. */
export function sampling(
  { temperature, topP, topK }: Pick<Conversation, 'temperature' | 'topP' | 'topK'>,
  { capabilities, thinks, drops }: { capabilities: ModelCapabilities; thinks: boolean; drops: Drops },
): JsonObject {
  const takes = (name: string) => !thinks && !capabilities.refuses.has(name);
  const sent: JsonObject = {};
  if (temperature !== null) {
    if (!takes('temperature')) {
      if (temperature !== 1) drops.drop('temperature');
    } else {
      if (temperature > HOTTEST) drops.drop('temperature', `The temperature can be at most ${HOTTEST}.`);
      sent['temperature'] = Math.min(Math.max(temperature, 0), HOTTEST);
    }
  }
  if (topP !== null) {
    // Both together are a 400.
    const isSecond = sent['temperature'] !== undefined && sent['temperature'] !== 1;
    if (!takes('top_p') || isSecond) {
      if (topP !== 1) drops.drop('top_p');
    } else {
      delete sent['temperature'];
      sent['top_p'] = topP;
    }
  }
  if (topK !== null) {
    if (takes('top_k')) sent['top_k'] = topK;
    else drops.drop('top_k');
  }
  return sent;
}
