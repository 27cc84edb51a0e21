import { z } from 'zod';
import { choice, duration, mark, read } from '../schema/kit.ts';
import type { RedisSettings, StateSettings } from './settings.ts';

const REDIS_FORM =
  'a redis:// or rediss:// URL, a list of them for Redis Cluster, or { sentinels: [host:port], name: mymaster }';

/** What `state.redis` says. */
type RedisFile = { kind: 'none' } | RedisSettings;

function parseRedis(value: unknown): RedisFile | null {
  if (value === '' || value === null) return { kind: 'none' };
  if (typeof value === 'string') return isRedisUrl(value) ? { kind: 'single', url: value } : null;
  if (Array.isArray(value)) {
    // Cluster knows no databases.
    const isNode = (url: unknown) => isRedisUrl(url) && /^\/?(0)?$/.test(new URL(url).pathname);
    return value.length > 0 && value.every(isNode) ? { kind: 'cluster', urls: value } : null;
  }
  const parsed = sentinelSchema.safeParse(value);
  if (!parsed.success) return null;
  const { sentinels, name, username = null, password = null, database = 0, tls = false } = parsed.data;
  return { kind: 'sentinel', sentinels, name, username, password, database, tls };
}

function isRedisUrl(value: unknown): value is string {
  if (typeof value !== 'string' || !/^rediss?:\/\//.test(value) || !URL.canParse(value)) return false;
  const { hostname, pathname } = new URL(value);
  return hostname !== '' && /^\/?\d*$/.test(pathname);
}

function isSentinel(value: string): boolean {
  return isRedisUrl(value) || /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/.test(value);
}

const sentinelSchema = z.strictObject({
  sentinels: z.array(z.string().refine(isSentinel)).min(1),
  name: z.string().min(1),
  username: z.string().optional(),
  password: z.string().optional(),
  database: z.int().min(0).optional(),
  tls: z.boolean().optional(),
});

/** What all keys begin with. Neither braces, which name the slot in a cluster, nor what is special in patterns. */
export const KEY_PREFIX_FORM = /^[A-Za-z0-9_.:-]{1,64}$/;

export const stateSchema = z
  .strictObject({
    redis: mark(read(REDIS_FORM, 'URL, list or map', parseRedis), { secret: true })
      .prefault('')
      .describe(
        '`redis://` or `rediss://` (TLS) with user and password; a list of URLs: Redis Cluster; `{ sentinels: [host:port], name: mymaster }` with `username`, `password`, `database`, `tls` of the master: Sentinel; empty: in this process',
      ),
    key_prefix: read('1 to 64 of the characters A-Z a-z 0-9 _ . : -', 'text', (value) =>
      typeof value === 'string' && KEY_PREFIX_FORM.test(value) ? value : null,
    )
      .prefault('spillway')
      .describe('what all keys begin with'),
    command_timeout: duration().prefault('250ms').describe('how long one command may take'),
    on_outage: choice(['local', 'deny', 'allow'])
      .prefault('local')
      .describe(
        'while Redis is away: `local`: this process enforces its share of each limit; `deny`: 503; `allow`: let pass',
      ),
  })
  .prefault({});

export type StateFile = z.output<typeof stateSchema>;

export function toStateSettings(file: StateFile): StateSettings {
  return {
    redis: file.redis.kind === 'none' ? null : file.redis,
    keyPrefix: file.key_prefix,
    commandTimeout: file.command_timeout,
    onOutage: file.on_outage,
  };
}

/** Passwords, and URLs that hold one: never to be shown. */
export function secretsOf(redis: RedisSettings): string[] {
  if (redis.kind === 'sentinel') {
    const secrets = redis.sentinels.flatMap((url) => (isRedisUrl(url) ? passwordsIn(url) : []));
    return redis.password === null ? secrets : [...secrets, redis.password];
  }
  return (redis.kind === 'single' ? [redis.url] : redis.urls).flatMap(passwordsIn);
}

function passwordsIn(url: string): string[] {
  const { password } = new URL(url);
  return password === '' ? [] : [...new Set([decodeURIComponent(password), password])];
}
