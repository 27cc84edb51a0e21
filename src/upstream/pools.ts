import type { Socket } from 'node:net';
import tls from 'node:tls';
import { buildConnector, Client, type Dispatcher, errors } from 'undici';
import { inOneWrite } from './one-write.ts';
import {
  type AbortableConnector,
  EnvironmentProxies,
  forwarding,
  parseProxy,
  toProxy,
  tunnel,
} from './proxy.ts';
import { Sockets } from './sockets.ts';

/**
 * An idle socket is kept this long where the host does not say: new ones cost a TLS handshake, and the usual hosts keep theirs for a
 * minute or more. One that was closed meanwhile costs a retry. Milliseconds.
 */
const KEEP_ALIVE = 30_000;

/** How to reach one host. Two providers that are reached in the same way share sockets. */
export interface PoolOptions {
  /** Who asks for it. */
  provider: string;
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

/** What leads to one host. */
class Pool {
  readonly sockets: Sockets;
  /** Under whose name it is told of: where several share it, the first of the configuration. */
  provider: string;
  readonly #opened: Dispatcher[] = [];

  constructor({ provider, connections }: PoolOptions, open: () => Dispatcher) {
    this.provider = provider;
    this.sockets = new Sockets(connections, () => {
      const dispatcher = open();
      this.#opened.push(dispatcher);
      return dispatcher;
    });
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#opened.map((dispatcher) => dispatcher.destroy()));
  }
}

/**
 * The sockets to all upstreams, kept from one configuration to the next where nothing that concerns them changed.
 * undici's own timeouts are off: a try has its own (see attempt.ts). HTTP/2 is off: one socket a request keeps one
 * request's reset from ending the others.
 */
export class Pools {
  readonly #proxies: EnvironmentProxies;
  readonly #pools = new Map<string, Pool>();

  constructor(environment: NodeJS.ProcessEnv) {
    this.#proxies = new EnvironmentProxies(environment);
  }

  /** The sockets to a host. */
  get(options: PoolOptions): Sockets {
    const key = poolKey(options);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new Pool(options, this.#opener(options));
      this.#pools.set(key, pool);
    }
    return pool.sockets;
  }

  /**
   * Lets go of the pools that none of these options ask for. They are not closed: a request under way may come to need one for its next
   * try. Their idle sockets end by themselves.
   */
  keepOnly(used: readonly PoolOptions[]): void {
    const providers = new Map<string, string>();
    for (const options of used) {
      const key = poolKey(options);
      if (!providers.has(key)) providers.set(key, options.provider);
    }
    for (const [key, pool] of this.#pools) {
      const provider = providers.get(key);
      if (provider === undefined) this.#pools.delete(key);
      else pool.provider = provider;
    }
  }

  values(): Iterable<{ provider: string; sockets: Sockets }> {
    return this.#pools.values();
  }

  /** Ends every socket at once. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }

  /** What makes a client that sends over one socket. */
  #opener({ origin, connectTimeout, ca, proxy }: PoolOptions): () => Dispatcher {
    const trusted = ca === null ? undefined : [...tls.getCACertificates('default'), ca];
    // Made once: reading all certificates anew for every connection would take milliseconds each time.
    const trust = trusted === undefined ? {} : { secureContext: tls.createSecureContext({ ca: trusted }) };
    const options = {
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE,
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
    };
    const direct = buildConnector({ ...trust, allowH2: false, timeout: 0 });
    const via = proxy === null ? this.#proxies.for(origin) : parseProxy(proxy);
    const opener = (to: string, connector: AbortableConnector) => {
      const connect = within(connectTimeout, connector);
      return () => new Client(to, { ...options, connect });
    };
    if (via === null) return opener(origin, abortable(direct));
    if (origin.startsWith('https:')) return opener(origin, tunnel(via, trusted, direct));
    const open = opener(via.url.origin, toProxy(via, abortable(direct)));
    const forward = forwarding(via);
    return () => open().compose(forward);
  }
}

/**
 * Opens sockets in time to the millisecond, all steps together: undici's own timer goes by the second, and may be one late. By Node's timer and no handed
 * in clock: names are looked up and handshakes made in real time, whatever time a test has.
 */
function within(ms: number, connect: AbortableConnector): buildConnector.connector {
  return (options, callback) => {
    const controller = new AbortController();
    let settled = false;
    const done: buildConnector.Callback = (error, socket) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      if (error === null) callback(null, inOneWrite(socket));
      else callback(error, null);
    };
    const timer = setTimeout(() => {
      done(new errors.ConnectTimeoutError(), null);
      controller.abort();
    }, ms);
    connect(options, done, controller.signal);
  };
}

function abortable(connect: buildConnector.connector): AbortableConnector {
  return (options, callback, signal) => {
    // It does give the socket back, though its types do not say so.
    const socket = connect(options, callback) as unknown as Socket;
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
  };
}

function poolKey({ origin, connections, connectTimeout, ca, proxy }: PoolOptions): string {
  return JSON.stringify([origin, connections, connectTimeout, ca, proxy]);
}
