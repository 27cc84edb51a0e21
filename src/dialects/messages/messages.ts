import type { JsonBody } from '../../core/json-body.ts';
import type { Dialect } from '../../providers/adapter.ts';
import type { ClientDialect, ClientRequest, ErrorFields } from '../dialect.ts';
import { errorBody, typeOfStatus } from './errors.ts';
import { messagesName } from './names.ts';
import { MessagesPresenter } from './presenter.ts';
import { type Asked, readMessages, readQuestion } from './read.ts';
import { type Translated, toChat } from './to-chat.ts';
import { toMessage } from './to-message.ts';

/** Anthropic's `POST /v1/messages`. */
export const messages: ClientDialect = {
  name: 'messages',
  maximum: 'max_tokens',
  read: (bytes) => request('messages', readMessages(bytes)),
  answer: (completion, { body }, id) => toMessage(completion, body.value, id),
  presenter: ({ body }, id) => new MessagesPresenter(body.value, id),
  error,
};

/**
 * Anthropic's `POST /v1/messages/count_tokens`. Nobody but Anthropic answers it, and what comes from there passes as it is; elsewhere the tokens are
 * estimated by whoever has the means.
 */
export const countTokens: ClientDialect = {
  name: 'count_tokens',
  maximum: null,
  read: (bytes) => request('count_tokens', readQuestion(bytes)),
  answer: (counted) => counted,
  presenter: ({ body }, id) => new MessagesPresenter(body.value, id),
  error,
};

function request(dialect: Dialect, asked: Asked): ClientRequest {
  let translated: Translated | null = null;
  const translate = () => {
    translated ??= toChat(asked.body.value, asked.body.isLarge);
    return translated;
  };
  return {
    ...asked,
    dialect,
    wantsUsage: true,
    chat: (): JsonBody => translate().body,
    get dropped() {
      return translate().dropped;
    },
    name: (param) => messagesName(param, asked.body.value, translate().body.value),
  };
}

/** By what the SDKs see that they have to send the whole conversation, with a new thread or without any. */
const THREAD_ERRORS: ReadonlyMap<string | null, string> = new Map([
  ['thread.previous_message_id', 'thread_not_found'],
  ['thread', 'thread_unsupported_request'],
]);

/** Anthropic names what is wrong in the message, and nowhere else; what is wrong with a thread has a code as well. */
function error({ message, param, code }: ErrorFields, status: number, requestId: string) {
  const named = param === null || message.includes(param) ? message : `${param}: ${message}`;
  const ofThread = code.startsWith('thread_') ? code : THREAD_ERRORS.get(param);
  return { ...errorBody(typeOfStatus(status), named, ofThread), request_id: requestId };
}
