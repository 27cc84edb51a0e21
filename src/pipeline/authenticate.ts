import type { Keyring, Principal } from '../auth/keyring.ts';
import { ApiError, storeAway } from '../core/errors.ts';
import type { Exchange } from './exchange.ts';
import type { Live } from './live.ts';

/** A body that took longer may have outlived its key: who asks is found out again. Milliseconds. */
const SLOW_BODY = 250;

/** Once the body has come whole: keys and limits as they are now, if that took long enough for them to have changed. */
export function authenticateAgain(exchange: Exchange, live: Live, current: Keyring): Principal {
  if (exchange.readAt - exchange.startedAt <= SLOW_BODY) return authenticate(exchange, live);
  exchange.principal = null;
  return authenticate(exchange, live, { keyring: current });
}

export interface Authenticating {
  keyring?: Keyring;
  /** The path is for clients of all dialects, with what each has been asked for. */
  anyDialect?: boolean;
}

/** Finds out who asks, once for each exchange. Throws an ApiError for a key that is missing or not known. */
export function authenticate(
  exchange: Exchange,
  live: Live,
  { keyring = live.keyring, anyDialect = false }: Authenticating = {},
): Principal {
  exchange.live ??= live;
  if (exchange.principal !== null) return exchange.principal;
  const authorization = keyHeader(exchange, anyDialect);
  exchange.principal = keyring.find(authorization);
  if (exchange.principal !== null) return exchange.principal;
  // To an SDK a wrong key is the end; one that is only not known yet is not.
  if (authorization !== undefined && !keyring.isComplete) {
    throw storeAway('This key cannot be looked up: the store of tenants has not been reached yet.');
  }
  throw new ApiError(
    'invalid_api_key',
    authorization === undefined
      ? 'No API key was sent. Send yours as `Authorization: Bearer KEY`.'
      : 'This API key is not known here. Check it, or ask the operator of this gateway for one.',
    { headers: { 'www-authenticate': 'Bearer' } },
  );
}

/** OpenAI's header; in Anthropic's dialect its own as well, which counts where both are sent. */
function keyHeader(exchange: Exchange, anyDialect: boolean): string | undefined {
  const { dialect } = exchange;
  const isAnthropic = dialect === 'messages' || dialect === 'count_tokens';
  const key = isAnthropic || anyDialect ? exchange.header('x-api-key') : undefined;
  return key === undefined || key === '' ? exchange.header('authorization') : `Bearer ${key}`;
}
