import type { Presenter } from '../chat/presenter.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { DONE_EVENT, encodeData, PING_COMMENT } from '../sse/encoder.ts';
import { invalid, missing, parseBody } from './body.ts';
import type { ClientDialect } from './dialect.ts';
import { openaiError } from './openai-error.ts';

/** OpenAI's chat completions, which all the others are translated into. */
export const chat: ClientDialect = {
  name: 'chat',
  maximum: 'max_completion_tokens',

  read(bytes) {
    const body = parseBody(bytes);
    const { model, messages, stream, stream_options: streamOptions, n } = body.value;
    const { max_completion_tokens: newerMaximum, max_tokens: maximum } = body.value;
    if (model === undefined) throw missing('model');
    if (typeof model !== 'string' || model === '') throw invalid('model', 'a non-empty string');
    if (messages === undefined) throw missing('messages');
    if (!Array.isArray(messages) || messages.length === 0)
      throw invalid('messages', 'a list of at least one message');
    const wrong = messages.findIndex((message) => !isJsonObject(message));
    if (wrong >= 0) throw invalid(`messages[${wrong}]`, 'an object');
    if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
      throw invalid('stream', 'true or false');
    if (streamOptions !== undefined && streamOptions !== null && !isJsonObject(streamOptions)) {
      throw invalid('stream_options', 'an object');
    }
    mustBeNumber('max_completion_tokens', newerMaximum);
    mustBeNumber('max_tokens', maximum);
    mustBeNumber('n', n);
    const wantsUsage = isJsonObject(streamOptions) && streamOptions['include_usage'] === true;
    return { dialect: 'chat', body, model, streaming: stream === true, wantsUsage, chat: () => body };
  },

  answer: (completion) => completion,

  presenter: ({ wantsUsage }) => (wantsUsage ? WITH_USAGE : WITHOUT_USAGE),

  error: openaiError,
};

/** What is reserved goes by it, so a text that a host would take for a number will not do. */
function mustBeNumber(name: string, value: Json | undefined): void {
  if (value !== undefined && value !== null && typeof value !== 'number') throw invalid(name, 'a number');
}

/** Chunks are what the client wants, so nothing is kept between them, and one presenter serves all. */
const WITH_USAGE: Presenter = {
  chunk: (chunk) => encodeData(JSON.stringify(chunk)),
  end: () => DONE_EVENT,
  error({ message, type, code }) {
    return encodeData(JSON.stringify(openaiError({ message, type, param: null, code })));
  },
  ping: PING_COMMENT,
};

const WITHOUT_USAGE: Presenter = {
  ...WITH_USAGE,
  chunk: (chunk) => (onlyReportsUsage(chunk) ? null : WITH_USAGE.chunk(chunk)),
};

function onlyReportsUsage({ choices, usage }: JsonObject): boolean {
  return isJsonObject(usage) && Array.isArray(choices) && choices.length === 0;
}
