import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { bearerToken } from '../auth/keyring.ts';
import { ApiError } from '../core/errors.ts';

/** Throws an ApiError for whoever may not operate this gateway. `token`: what they must show; null = they must be on this machine. */
export function checkOperator(token: string | null, headers: IncomingHttpHeaders): void {
  if (token === null) checkOwnMachine(headers);
  else checkToken(token, headers.authorization);
}

/** Compares hashes, so that the time it takes says nothing of the token. */
function checkToken(token: string, authorization: string | undefined): void {
  const given = bearerToken(authorization);
  const digest = (text: string) => hash('sha256', text, 'buffer');
  if (given !== null && timingSafeEqual(digest(given), digest(token))) return;
  throw new ApiError('invalid_api_key', 'Send the admin token as `Authorization: Bearer TOKEN`.', {
    headers: { 'www-authenticate': 'Bearer' },
  });
}

/**
 * Only this machine reaches a listener without a token, but its browsers do so for any page that is open in them: across origins, where they say of which
 * the page is, or by a name of the page's own that was made to lead here.
 */
function checkOwnMachine({ origin, host }: IncomingHttpHeaders): void {
  if (origin === undefined && (host === undefined || isOwnName(host))) return;
  throw new ApiError(
    'invalid_api_key',
    'Without a token, operators are served at an address or at localhost, and web pages are not. Set `admin.token`, and send it as `Authorization: Bearer TOKEN`.',
  );
}

/** No name server has a say in these. */
function isOwnName(host: string): boolean {
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return isIP(name) > 0 || /^(?:[^.]+\.)*localhost$/i.test(name);
}
