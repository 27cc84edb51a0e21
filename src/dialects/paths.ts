import type { Dialect } from '../providers/adapter.ts';

/** Where each dialect is spoken. All are POST. */
export const DIALECT_PATHS: ReadonlyMap<string, Dialect> = new Map([
  ['/v1/chat/completions', 'chat'],
  ['/v1/responses', 'responses'],
  ['/v1/messages', 'messages'],
  ['/v1/messages/count_tokens', 'count_tokens'],
  ['/v1/embeddings', 'embeddings'],
]);
