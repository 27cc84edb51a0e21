/** Where a Redis listens, and how one gets in. */
export interface Place {
  host: string;
  port: number;
}

export interface Access {
  /** Null = the default user. */
  username: string | null;
  password: string | null;
  database: number;
  tls: boolean;
}

const PORT = 6379;
const SENTINEL_PORT = 26379;

/** Takes a `redis://` or `rediss://` URL apart. Throws a RangeError that repeats nothing of it: it may hold a password. */
export function parseRedisUrl(text: string, defaultPort = PORT): Place & Access {
  const url = URL.canParse(text) ? new URL(text) : null;
  const database = Number(url?.pathname.slice(1) ?? '');
  const tls = url?.protocol === 'rediss:';
  if (
    url === null ||
    url.hostname === '' ||
    (!tls && url.protocol !== 'redis:') ||
    !Number.isInteger(database)
  ) {
    throw new RangeError('not a URL such as redis://user:password@host:6379/0');
  }
  return {
    // An IPv6 address stands in brackets there.
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? defaultPort : Number(url.port),
    username: url.username === '' ? null : decodeURIComponent(url.username),
    password: url.password === '' ? null : decodeURIComponent(url.password),
    database,
    tls,
  };
}

/** A sentinel may also be `host:port`. Throws likewise. */
export function parseSentinel(text: string): Place & Access {
  return parseRedisUrl(text.includes('://') ? text : `redis://${text}`, SENTINEL_PORT);
}

/** For people, and as the name of a node. */
export function addressOf({ host, port }: Place): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `host:port` as nodes of a cluster write it, also of IPv6. Where they leave out the host, it is that of the one who wrote. */
export function placeFrom(address: string, writer: Place): Place | null {
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 1 || port > 65_535) return null;
  return { host: knownHost(address.slice(0, colon), writer), port };
}

/** A node that does not know its own name says nothing, or `?`. */
export function knownHost(host: string | null, writer: Place): string {
  return host === null || host === '' || host === '?' ? writer.host : host;
}
