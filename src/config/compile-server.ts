import { createSecureContext } from 'node:tls';
import { isLoopback } from '../server/schema.ts';
import type { ServerSettings } from '../server/settings.ts';
import { FRAMING_HEADERS, isHeaderName, isToken, readNamedFile, TRY_ID_HEADER } from './compile-providers.ts';
import type { RuntimeConfig } from './runtime.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';

/** What a client proves itself with: it must never reach an upstream. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set([
  'api-key',
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'x-goog-api-key',
]);

/** Of every request upstream, these are ours to say. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'accept-encoding',
  'content-encoding',
  'content-type',
  TRY_ID_HEADER,
]);

export function compileAdmin({ admin, listen }: ConfigFile, scope: Scope): RuntimeConfig['admin'] {
  const path = ['admin', 'token'];
  if (admin.token === '') {
    if (!isLoopback(admin.listen.host)) {
      scope.report(path, 'missing; a token is required where `admin.listen` is not a loopback address');
    }
  } else {
    scope.secrets.add(admin.token);
    if (!isToken(admin.token))
      scope.report(path, 'holds a space, line break or other character that no header can carry');
  }
  if (listen.port !== 0 && listen.port === admin.listen.port && listen.host === admin.listen.host) {
    scope.report(['admin', 'listen'], 'is the same address as `listen`; give it a port of its own');
  }
  return { listen: admin.listen, token: admin.token === '' ? null : admin.token };
}

export function compileServer({ server }: ConfigFile, scope: Scope): ServerSettings {
  return {
    workers: server.workers,
    maxBody: server.max_body,
    maxInFlight: server.max_in_flight,
    drainTimeout: server.drain_timeout,
    heartbeat: server.heartbeat,
    forwardHeaders: forwardHeaders(server.forward_headers, scope),
    tls: tls(server.tls, scope),
  };
}

function forwardHeaders(names: readonly string[], scope: Scope): string[] {
  const read = new Set<string>();
  for (const [index, written] of names.entries()) {
    const path = ['server', 'forward_headers', index];
    const name = written.toLowerCase();
    if (!isHeaderName(name)) scope.report(path, `not a name that a header can have: ${scope.shown(path)}`);
    else if (CREDENTIAL_HEADERS.has(name))
      scope.report(path, "carries a client's credentials, which never go upstream");
    else if (FRAMING_HEADERS.has(name))
      scope.report(path, 'belongs to the connection, and cannot be forwarded');
    else if (OWN_HEADERS.has(name))
      scope.report(path, 'is given by the gateway itself, and cannot be forwarded');
    read.add(name);
  }
  return [...read];
}

function tls({ cert, key }: ConfigFile['server']['tls'], scope: Scope): ServerSettings['tls'] {
  const path = ['server', 'tls'];
  if (cert === '' && key === '') return null;
  if (cert === '' || key === '') {
    scope.report(
      [...path, cert === '' ? 'cert' : 'key'],
      'missing; TLS needs both `cert` and `key`, and plain HTTP neither',
    );
    return null;
  }
  const texts = {
    cert: readNamedFile(cert, [...path, 'cert'], scope),
    key: readNamedFile(key, [...path, 'key'], scope),
  };
  if (texts.cert === null || texts.key === null) return null;
  try {
    createSecureContext({ cert: texts.cert, key: texts.key });
  } catch {
    scope.report(
      [...path, 'cert'],
      'expected PEM files of a certificate and its private key; these two do not go together',
    );
  }
  return { cert: texts.cert, key: texts.key };
}
