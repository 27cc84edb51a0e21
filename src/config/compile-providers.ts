import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { ID_FORM } from '../auth/schema.ts';
import type { Adapter } from '../providers/adapter.ts';
import { ADAPTERS } from '../providers/adapters.ts';
import type { ProviderFile } from '../providers/schema.ts';
import type { ProviderLimits, ProviderSettings } from '../providers/settings.ts';
import { errorCode } from './files.ts';
import { formatPath, type Path } from './problem.ts';
import { type ProviderPlace, providerPlace } from './provider-place.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';

/** Header values shorter than this are no secrets but words like `beta`, which would be blotted out of every text. Characters. */
const SHORTEST_SECRET_HEADER = 8;

/** A key in a header, behind its scheme: a host that repeats it leaves the scheme out. */
const BEHIND_SCHEME = /^[A-Za-z-]+ +(\S+)$/;

/** Belong to the connection or the body, which are ours to describe. */
export const FRAMING_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Given anew with every try, so that neither a client nor a file can repeat one. */
export const TRY_ID_HEADER = 'x-request-id';

export function compileProviders(file: ConfigFile, scope: Scope): Map<string, ProviderSettings> {
  const providers = new Map<string, ProviderSettings>();
  for (const section of ['providers', 'virtual_keys'] as const) {
    for (const [id, provider] of Object.entries(file[section])) {
      const path = [section, id];
      if (!ID_FORM.test(id)) scope.report(path, 'expected a name of 1 to 64 of the characters a-z 0-9 _ -');
      if (providers.has(id)) scope.report(path, 'there is a provider of this name under `providers` already');
      providers.set(id, compileProvider(id, provider, path, scope));
    }
  }
  return providers;
}

function compileProvider(id: string, file: ProviderFile, path: Path, scope: Scope): ProviderSettings {
  const adapter: Adapter = ADAPTERS[file.adapter];
  const keys = apiKeys(file, adapter.needsKey === 'yes', path, scope);
  // Without secrets, one that has a default may still be there in the end.
  const hasKey = keys[0] !== null || (!scope.readSecrets && file.api_key !== undefined);
  const { place, complete } = providerPlace(file, hasKey, path, scope);
  return {
    id,
    adapter: file.adapter,
    baseUrl:
      file.base_url === undefined
        ? ownBaseUrl(adapter, place, complete, [...path, 'base_url'], scope)
        : baseUrl(file.base_url, [...path, 'base_url'], scope),
    apiKeys: keys,
    headers: headers(file.headers, [...path, 'headers'], scope),
    proxy: file.proxy === '' ? null : proxy(file.proxy, [...path, 'proxy'], scope),
    ca: file.ca === '' ? null : certificates(file.ca, [...path, 'ca'], scope),
    connections: file.connections,
    limits: limits(file.limits),
    adaptive: file.adaptive,
    ...place,
  };
}

function limits({ requests, tokens, concurrent }: ProviderFile['limits']): ProviderLimits | null {
  if (requests === undefined && tokens === undefined && concurrent === undefined) return null;
  return { requests: requests ?? null, tokens: tokens ?? null, concurrent: concurrent ?? null };
}

/** The adapter's own. `complete`: nothing that was told already is missing. */
function ownBaseUrl(
  adapter: Adapter,
  place: ProviderPlace,
  complete: boolean,
  path: Path,
  scope: Scope,
): string {
  if (!complete) return '';
  const url = adapter.baseUrl(place);
  if (url.startsWith('missing')) scope.report(path, url);
  return url;
}

function baseUrl(text: string, path: Path, scope: Scope): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    scope.report(path, `expected a URL such as https://api.example.com/v1, found ${scope.shown(path)}`);
  } else if (url.username !== '' || url.password !== '') {
    scope.report(path, 'expected a URL without a user or password; credentials go to `api_key` or `headers`');
  } else if (url.search !== '' || url.hash !== '') {
    scope.report(path, 'expected a URL without `?` or `#`: the path of each call is put after it');
  }
  return text.trim().replace(/\/+$/, '');
}

function apiKeys(file: ProviderFile, needsKey: boolean, path: Path, scope: Scope): (string | null)[] {
  if (file.api_key !== undefined && file.api_keys !== undefined) {
    scope.report([...path, 'api_keys'], 'takes the place of `api_key`; give one of the two');
  }
  const single = file.api_keys === undefined;
  const given = file.api_keys ?? (file.api_key === undefined ? [] : [file.api_key]);
  const keys: string[] = [];
  for (const [index, key] of given.entries()) {
    const place = single ? [...path, 'api_key'] : [...path, 'api_keys', index];
    if (key === '' && (needsKey || !single))
      scope.report(place, `expected a key, found ${scope.shown(place)}`);
    else if (key !== '' && !isToken(key))
      scope.report(place, 'holds a space, line break or other character that no key has');
    else if (keys.includes(key)) scope.warn(place, 'is in the pool already');
    else if (key !== '') keys.push(key);
    if (key !== '') scope.secrets.add(key);
  }
  if (given.length === 0 && needsKey && !scope.isDamaged([...path, 'api_keys'])) {
    const name = single ? 'api_key' : 'api_keys';
    scope.report(
      [...path, name],
      `missing; \`adapter: ${file.adapter}\` needs a key, such as "\${NAME}" from the environment`,
    );
  }
  return keys.length === 0 ? [null] : keys;
}

/** What can stand after `Bearer` in a header. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

export function isHeaderName(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);
}

function headers(file: ProviderFile['headers'], path: Path, scope: Scope): Record<string, string> {
  const read: Record<string, string> = {};
  for (const [written, value] of Object.entries(file)) {
    const place = [...path, written];
    const name = written.toLowerCase();
    if (!isHeaderName(name)) scope.report(place, 'not a name that a header can have');
    else if (FRAMING_HEADERS.has(name) || name === TRY_ID_HEADER)
      scope.report(place, 'is set by the gateway itself');
    else if (Object.hasOwn(read, name)) scope.report(place, 'is there already, in other letters');
    else if (!/^[\t\x20-\x7e]*$/.test(value))
      scope.report(place, 'holds a character that no header can carry');
    else read[name] = value;
    for (const secret of [value, BEHIND_SCHEME.exec(value)?.[1] ?? '']) {
      if (secret.length >= SHORTEST_SECRET_HEADER) scope.secrets.add(secret);
    }
  }
  return read;
}

function proxy(text: string, path: Path, scope: Scope): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    scope.report(path, 'expected the URL of an HTTP proxy, such as http://proxy.example.com:3128');
  } else if (url.password !== '') {
    scope.secrets.add(url.password);
    try {
      scope.secrets.add(decodeURIComponent(url.password));
    } catch {
      scope.report(path, 'has a password with a stray %; write it as %25');
    }
  }
  return text;
}

/** The text of a file that a key names, relative to the configuration; null if it cannot be read, which is told. */
export function readNamedFile(name: string, path: Path, scope: Scope): string | null {
  if (!scope.readSecrets) return null;
  try {
    return scope.files.read(resolve(scope.directory, name));
  } catch (error) {
    scope.report(
      path,
      `cannot read the file ${scope.shown(path)} that ${formatPath(path.slice(-1))} names (${errorCode(error)})`,
    );
    return null;
  }
}

function certificates(name: string, path: Path, scope: Scope): string | null {
  const text = readNamedFile(name, path, scope);
  if (text === null) return null;
  try {
    new X509Certificate(text);
  } catch {
    scope.report(path, `expected a PEM file of certificates, found something else in ${scope.shown(path)}`);
  }
  return text;
}
