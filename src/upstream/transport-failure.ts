import type { CancelReason } from '../core/cancellation.ts';
import type { Failure, FailureKind } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { ProxyFailure } from './proxy.ts';

/** A failure that no HTTP status stands for. */
export function plainFailure(kind: FailureKind, message: string): Failure {
  return { kind, status: null, message, retryAfterMs: null, error: null };
}

/** Nobody waits for the answer any more. */
export function goneFailure(reason: CancelReason): Failure {
  return plainFailure(reason, GONE[reason]);
}

const GONE: Readonly<Record<CancelReason, string>> = {
  client_gone: 'the client went away',
  shutdown: 'the gateway is shutting down',
  superseded: 'another target gave content first',
};

const UNTRUSTED =
  "its certificate comes from an authority that is not trusted here; name it with the provider's `ca`";

/** Words for the codes that operators meet most; any other is shown as it is. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name could not be looked up',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  EPIPE: 'connection closed while sending',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_SOCKET: 'connection closed by the other side',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the body was not as long as its content-length said',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'our body was not as long as its content-length said',
};

/** What undici or a socket reported, as an outcome. `started`: an answer's headers had come. */
export function transportFailure(error: unknown, started: boolean, redact: Redact): Failure {
  const words = wordsFor(error, redact);
  if (started) return plainFailure('broken_body', `the answer broke off: ${words}`);
  // A proxy that wants other credentials is a matter for the operator.
  const misconfigured = error instanceof ProxyFailure && error.misconfigured;
  return plainFailure(misconfigured ? 'target_misconfigured' : 'connection_failed', words);
}

function wordsFor(error: unknown, redact: Redact): string {
  if (error instanceof ProxyFailure && error.cause !== undefined)
    return `proxy: ${wordsFor(error.cause, redact)}`;
  const { code, text } = describeError(error);
  return (code === null ? undefined : WORDS[code]) ?? redact(text);
}

function describeError(error: unknown): { code: string | null; text: string } {
  // An AggregateError is one failure for each address of the host: the first says enough.
  const first = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  if (!(first instanceof Error)) return { code: null, text: String(first) };
  const code = 'code' in first && typeof first.code === 'string' ? first.code : null;
  return { code, text: first.message || code || first.name };
}
