import type { Dialect } from '../providers/adapter.ts';
import type { Exchange } from './exchange.ts';

/** What a client says of its dialect in headers, of no use to targets that do not speak it: name, value … Null: it says nothing. */
export function dialectHeaders(exchange: Exchange, dialect: Dialect): string[] | null {
  if (dialect !== 'messages' && dialect !== 'count_tokens') return null;
  const beta = exchange.header('anthropic-beta');
  return beta === undefined ? null : ['anthropic-beta', beta];
}
