import { isJsonObject, type JsonObject } from '../../core/json.ts';
import type { JsonBody } from '../../core/json-body.ts';
import { invalid, missing, parseBody } from '../body.ts';

/** What every request of this dialect says. */
export interface Asked {
  body: JsonBody;
  model: string;
  streaming: boolean;
}

/** Reads what the client sent. Throws an ApiError that names the field. Whatever is not named here is passed on unseen. */
export function readMessages(bytes: Buffer): Asked {
  const asked = readQuestion(bytes);
  const { max_tokens: most, stream } = asked.body.value;
  if (most === undefined || most === null) throw missing('max_tokens');
  // 0 is a request to fill the cache and to write nothing.
  if (typeof most !== 'number' || !Number.isInteger(most) || most < 0) {
    throw invalid('max_tokens', 'a whole number that is not negative');
  }
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean') {
    throw invalid('stream', 'true or false');
  }
  return { ...asked, streaming: stream === true };
}

/** The same for a question of how many tokens that would be: nothing is generated, and nothing streamed. */
export function readQuestion(bytes: Buffer): Asked {
  const body = parseBody(bytes);
  const { model, messages } = body.value;
  if (model === undefined || model === null) throw missing('model');
  if (typeof model !== 'string' || model === '') throw invalid('model', 'a non-empty string');
  if (messages === undefined || messages === null) throw missing('messages');
  if (!Array.isArray(messages) || messages.length === 0) {
    throw invalid('messages', 'a list of at least one message');
  }
  for (const [index, message] of messages.entries()) {
    if (!isJsonObject(message)) throw invalid(`messages[${index}]`, 'an object');
    checkContent(message, `messages[${index}]`);
  }
  return { body, model, streaming: false };
}

function checkContent({ content }: JsonObject, at: string): void {
  if (content === undefined || content === null) throw missing(`${at}.content`);
  if (typeof content !== 'string' && !Array.isArray(content)) {
    throw invalid(`${at}.content`, 'a text or a list of blocks');
  }
}
