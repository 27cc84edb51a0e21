import type { Dialect } from '../providers/adapter.ts';
import { chat } from './chat.ts';
import type { ClientDialect } from './dialect.ts';
import { embeddings } from './embeddings.ts';
import { countTokens, messages } from './messages/messages.ts';
import { responses } from './responses/responses.ts';

/** Each dialect that a client may speak; where, is in `paths.ts`. */
export const DIALECTS: Readonly<Record<Dialect, ClientDialect>> = {
  chat,
  responses,
  messages,
  count_tokens: countTokens,
  embeddings,
};
