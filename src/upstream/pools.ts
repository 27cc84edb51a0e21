import tls from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent, Pool, ProxyAgent } from 'undici';

/** How to reach one host. Two providers with the same options share sockets. */
export interface PoolOptions {
  /** Scheme, host and port. */
  origin: string;
  /** Sockets at most. */
  connections: number;
  /** Milliseconds until a connection must stand. */
  connectTimeout: number;
  /** PEM text of certificates to trust besides the system's. */
  ca: string | null;
  /** An HTTP proxy's URL; null = what the environment says. */
  proxy: string | null;
}

/** Hosts on this machine are never reached through a proxy of the environment. */
const LOOPBACK = 'localhost,127.0.0.1,::1';

/**
 * The sockets to all upstreams, kept from one configuration to the next where nothing that concerns them changed.
 * undici's own timeouts are off: a try has its own (see attempt.ts). HTTP/2 is off: one socket a request keeps one
 * request's reset from ending the others.
 */
export class Pools {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #pools = new Map<string, Dispatcher>();

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  get(options: PoolOptions): Dispatcher {
    const key = poolKey(options);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = this.#open(options);
      this.#pools.set(key, pool);
    }
    return pool;
  }

  /** Closes the pools that none of these options ask for, each when its last request has ended. */
  keepOnly(used: readonly PoolOptions[]): void {
    const keys = new Set(used.map(poolKey));
    for (const [key, pool] of this.#pools) {
      if (keys.has(key)) continue;
      this.#pools.delete(key);
      pool.close().catch(() => {});
    }
  }

  /** Ends every socket at once. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }

  #open({ origin, connections, connectTimeout, ca, proxy }: PoolOptions): Dispatcher {
    const trust = ca === null ? {} : { ca: [...tls.getCACertificates('default'), ca] };
    const connect = { timeout: connectTimeout, ...trust };
    const options = { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, allowH2: false };
    if (proxy !== null) {
      return new ProxyAgent({
        ...options,
        uri: proxy,
        connectTimeout,
        requestTls: connect,
        proxyTls: connect,
      });
    }
    const environment = this.#environment;
    const httpProxy = environment['http_proxy'] || environment['HTTP_PROXY'];
    const httpsProxy = environment['https_proxy'] || environment['HTTPS_PROXY'];
    if (!(origin.startsWith('https:') ? httpsProxy : httpProxy))
      return new Pool(origin, { ...options, connect });
    const noProxy = environment['no_proxy'] || environment['NO_PROXY'];
    return new EnvHttpProxyAgent({
      ...options,
      connect,
      connectTimeout,
      requestTls: connect,
      ...(httpProxy ? { httpProxy } : {}),
      ...(httpsProxy ? { httpsProxy } : {}),
      noProxy: noProxy ? `${noProxy},${LOOPBACK}` : LOOPBACK,
    });
  }
}

function poolKey({ origin, connections, connectTimeout, ca, proxy }: PoolOptions): string {
  return JSON.stringify([origin, connections, connectTimeout, ca, proxy]);
}
