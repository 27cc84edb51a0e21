import type { Dialect } from '../providers/adapter.ts';
import type { Exchange } from './exchange.ts';

/** What a client says of its dialect in headers; of no use to targets that do not speak it. */
export function dialectHeaders(exchange: Exchange, dialect: Dialect): string[] {
  if (dialect !== 'messages' && dialect !== 'count_tokens') return [];
  const beta = exchange.header('anthropic-beta');
  return beta === undefined ? [] : ['anthropic-beta', beta];
}
