import type { Principal } from '../auth/keyring.ts';
import { ApiError } from '../core/errors.ts';
import type { Exchange } from './exchange.ts';
import type { Live } from './live.ts';

/** Finds out who asks, once for each exchange. Throws an ApiError for a key that is missing or not known. */
export function authenticate(exchange: Exchange, live: Live): Principal {
  const authorization = exchange.header('authorization');
  exchange.live ??= live;
  exchange.principal ??= live.keyring.find(authorization);
  if (exchange.principal !== null) return exchange.principal;
  throw new ApiError(
    'invalid_api_key',
    authorization === undefined
      ? 'No API key was sent. Send yours as `Authorization: Bearer KEY`.'
      : 'This API key is not known here. Check it, or ask the operator of this gateway for one.',
    { headers: { 'www-authenticate': 'Bearer' } },
  );
}
