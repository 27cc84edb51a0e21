import { Keys } from '../quota/redis/keys.ts';
import type { RedisSettings } from '../state/settings.ts';

/** Whose user it is, and where. */
export interface TenantUser {
  tenant: string;
  /** In Redis. */
  name: string;
  keyPrefix: string;
  /** Zero in a cluster. */
  database: number;
  clustered: boolean;
}

/** What reads a tenant's usage: each is a hash for each day. */
const READING = ['hgetall', 'hget', 'hmget', 'hlen', 'exists', 'ttl', 'type'];
/** What clients say when they connect. */
const CONNECTING = ['ping', 'hello', 'auth', 'client|setname', 'client|setinfo'];
/** And what those of a cluster ask, which tells of its nodes and nothing of keys. */
const FINDING = [
  'command',
  'cluster|info',
  'cluster|nodes',
  'cluster|shards',
  'cluster|slots',
  'asking',
  'readonly',
  'readwrite',
];

/** Commands that not every server knows which has what is needed (Redis 7.0). */
export const YOUNGER: ReadonlySet<string> = new Set(['+client|setinfo']);

export function tenantUser(
  tenant: string,
  keyPrefix: string,
  redis: RedisSettings,
  database: number,
): TenantUser {
  const clustered = redis.kind === 'cluster';
  return { tenant, name: `${keyPrefix}-tenant-${tenant}`, keyPrefix, database, clustered };
}

/** The keys that it may read. Neither prefix nor tenant can hold what is special in a pattern. */
export function usageKeys({ tenant, keyPrefix }: TenantUser, day: string): string {
  return new Keys(keyPrefix).usage(tenant, day);
}

/** As `ACL SETUSER` takes them. `hash`: of its one password, SHA-256, so that the password itself is not sent. */
export function rulesOf(user: TenantUser, hash: string): string[] {
  // A connection begins with database 0, and goes to the one where the keys are.
  const commands = [...READING, ...CONNECTING, `select|${user.database}`, ...(user.clustered ? FINDING : [])];
  return [
    'on',
    `#${hash}`,
    `%R~${usageKeys(user, '*')}`,
    'resetchannels',
    '-@all',
    ...commands.map((command) => `+${command}`),
  ];
}
