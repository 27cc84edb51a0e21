import type { Adapter, Ask, Prepared } from '../adapter.ts';
import { printedBody } from '../printed-body.ts';
import { chatAnswer } from './chat-answer.ts';
import { relayedRequest } from './relay.ts';
import { countAnswer, relayedAnswer } from './relayed-answer.ts';
import { messagesRequest } from './request.ts';

/**
 * The last version that takes `temperature`, `top_p` and `top_k` from models that have them: that of 2026-10-21 refuses them whatever the model. The
 * answers are the same.
 */
const VERSION = '2023-06-01';

/** Anthropic's Messages. */
export const anthropic: Adapter = {
  speaks: new Set(['chat', 'messages', 'count_tokens']),
  countsSurely: true,
  needsKey: 'yes',
  identity: null,
  baseUrl: () => 'https://api.anthropic.com',
  keyHeaders: (secret) => ({ 'x-api-key': secret }),
  // Anthropic fetches by itself, but only over https.
  fetches: (url) => /^http:/i.test(url),
  prepare,
};

function prepare(ask: Ask): Prepared {
  const isOwn = ask.provider.headers['anthropic-version'] !== undefined;
  const common = { path: pathOf(ask), headers: isOwn ? [] : ['anthropic-version', VERSION] };
  switch (ask.dialect) {
    case 'messages':
      return { ...common, ...relayedRequest(ask), answer: relayedAnswer };
    case 'count_tokens':
      return { ...common, ...relayedRequest(ask), answer: countAnswer };
    default: {
      const { body, dropped } = messagesRequest(ask);
      return { ...common, ...printedBody(ask, body), dropped, answer: chatAnswer };
    }
  }
}

/** A base URL may end in `/v1`, as OpenAI's do, or not, as Anthropic's SDKs want it. */
function pathOf({ dialect, provider }: Ask): string {
  const version = provider.baseUrl.endsWith('/v1') ? '' : '/v1';
  return `${version}/messages${dialect === 'count_tokens' ? '/count_tokens' : ''}`;
}
