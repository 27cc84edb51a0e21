import type { Socket } from 'node:net';
import type { buildConnector, Dispatcher } from 'undici';

/** An HTTP proxy: where it is, and what it wants to be shown. */
export interface Proxy {
  url: URL;
  authorization: string | null;
}

/** It was the proxy that failed, not the upstream behind it. */
export class ProxyFailure extends Error {
  /** It wants credentials that it was not shown: someone must look at the configuration. */
  readonly misconfigured: boolean;

  constructor(cause: Error | number) {
    super(typeof cause === 'number' ? `refused by the proxy with HTTP ${cause}` : 'the proxy failed', {
      cause: typeof cause === 'number' ? undefined : cause,
    });
    this.name = 'ProxyFailure';
    this.misconfigured = cause === 407;
  }
}

/** From a URL such as `http://user:password@proxy.example.com:3128`; the scheme may be left out. Null if it is none. */
export function parseProxy(text: string): Proxy | null {
  const whole = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) return null;
  try {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    const authorization = credentials === ':' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`;
    url.username = '';
    url.password = '';
    return { url, authorization };
  } catch {
    return null;
  }
}

/** The proxies that the environment names, read once. */
export class EnvironmentProxies {
  readonly #http: Proxy | null;
  readonly #https: Proxy | null;
  readonly #exempt: readonly string[];

  /** Throws for a proxy that cannot be used. */
  constructor(environment: NodeJS.ProcessEnv) {
    const read = (name: string) => environment[name.toLowerCase()] || environment[name] || '';
    const proxy = (name: string) => {
      const text = read(name).trim();
      const parsed = parseProxy(text);
      // Without the text itself: there may be a password in it.
      if (text !== '' && parsed === null) {
        throw new Error(`${name}: expected the URL of an HTTP proxy, such as http://proxy.example.com:3128`);
      }
      return text === '' ? null : parsed;
    };
    this.#http = proxy('HTTP_PROXY');
    this.#https = proxy('HTTPS_PROXY');
    this.#exempt = read('NO_PROXY')
      .toLowerCase()
      .split(/[,\s]+/)
      .filter(Boolean);
  }

  /** The proxy for an origin; null for a host on this machine, and for those that NO_PROXY lists. */
  for(origin: string): Proxy | null {
    const { protocol, hostname, port } = new URL(origin);
    const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
    if (/^(?:.*\.)?localhost$|^127\.|^::1$/.test(host)) return null;
    const number = port || (protocol === 'https:' ? '443' : '80');
    if (this.#exempt.some((entry) => isExempt(entry, host, number))) return null;
    return protocol === 'https:' ? this.#https : this.#http;
  }
}

/** `*`, `example.com` and `.example.com` with all below, `*.example.com` with only what is below; each with a port or without. */
function isExempt(entry: string, host: string, port: string): boolean {
  const [, inBrackets, portOfBrackets] = /^\[(.+)\](?::(\d+))?$/.exec(entry) ?? [];
  const [, name, portOfName] = /^([^:]+):(\d+)$/.exec(entry) ?? [];
  const wanted = (inBrackets ?? name ?? entry).replace(/(.)\.$/, '$1');
  const wantedPort = portOfBrackets ?? portOfName;
  if (wantedPort !== undefined && wantedPort !== port) return false;
  if (wanted === '*') return true;
  const suffix = wanted.replace(/^\*?\./, '');
  return host.endsWith(`.${suffix}`) || (host === suffix && !wanted.startsWith('*'));
}

/** Opens a tunnel through the proxy, and TLS on top of it with `secure`. */
export function tunnel(
  proxy: Proxy,
  ca: string[] | undefined,
  secure: buildConnector.connector,
): AbortableConnector {
  return (options, callback, signal) => {
    const { url, authorization } = proxy;
    const target = `${options.hostname.includes(':') ? `[${options.hostname}]` : options.hostname}:${options.port || 443}`;
    // Brought in when it is needed: see `server/client.ts` for what an import of it takes.
    const http = process.getBuiltinModule(url.protocol === 'https:' ? 'node:https' : 'node:http');
    const request = http.request(url, {
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...(authorization === null ? {} : { 'proxy-authorization': authorization }) },
      agent: false,
      signal,
      ...(ca === undefined ? {} : { ca }),
    });
    request.once('connect', ({ statusCode = 0 }, socket: Socket) => {
      if (statusCode >= 200 && statusCode < 300) {
        signal.addEventListener('abort', () => socket.destroy(), { once: true });
        secure({ ...options, httpSocket: socket }, callback);
      } else {
        socket.on('error', () => {}).destroy();
        callback(new ProxyFailure(statusCode), null);
      }
    });
    request.once('response', (response) => {
      response.destroy();
      callback(new ProxyFailure(response.statusCode ?? 0), null);
    });
    request.on('error', (error) => callback(new ProxyFailure(error), null));
    request.end();
  };
}

/** Opens sockets to the proxy itself, whatever host undici thinks it speaks to. */
export function toProxy({ url }: Proxy, connect: AbortableConnector): AbortableConnector {
  return (options, callback, signal) => {
    const { host, hostname } = url;
    const done: buildConnector.Callback = (error, socket) =>
      error === null ? callback(null, socket) : callback(new ProxyFailure(error), null);
    connect({ ...options, host, hostname, servername: '' }, done, signal);
  };
}

/** Opens a connection, or gives it up when the signal says so. May call back more than once: the first time counts. */
export type AbortableConnector = (
  options: buildConnector.Options,
  callback: buildConnector.Callback,
  signal: AbortSignal,
) => void;

/** Requests to a host without TLS go to the proxy itself, with the whole URL where the path would be. */
export function forwarding({ url, authorization }: Proxy): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const { origin, path } = options;
    const headers = [...(options.headers as string[]), 'host', new URL(String(origin)).host];
    if (authorization !== null) headers.push('proxy-authorization', authorization);
    return dispatch({ ...options, origin: url.origin, path: `${origin}${path}`, headers }, handler);
  };
}
