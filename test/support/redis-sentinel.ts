/** A master, its replica and the sentinels that watch over them. */
import { type CleansUp, type RedisServer, startRedis, until } from './redis.ts';

export interface SentinelOptions {
  sentinels?: number;
  quorum?: number;
  /** How long a master may be silent. Milliseconds. */
  downAfter?: number;
  /** Directives of the master and the replica. */
  config?: Readonly<Record<string, string>>;
  users?: Readonly<Record<string, string>>;
  /** Of those who ask the sentinels. */
  sentinelUsers?: Readonly<Record<string, string>>;
  /** All of them talk to all and to each other with TLS alone. */
  tls?: boolean;
}

/** What the sentinels call the master. */
export const MASTER = 'main';

export interface Sentinels {
  /** Who was the master in the beginning. */
  readonly first: RedisServer;
  readonly second: RedisServer;
  readonly sentinels: readonly RedisServer[];
  /** Whom the sentinels call the master now. */
  master(): Promise<RedisServer>;
  /** Makes the replica the master while both live; resolves when the sentinels say so, and that the other one is its replica. */
  failOver(): Promise<RedisServer>;
}

export async function startSentinels(t: CleansUp, options: SentinelOptions = {}): Promise<Sentinels> {
  const {
    sentinels: count = 1,
    quorum = 1,
    downAfter = 500,
    config = {},
    users = {},
    sentinelUsers = {},
    tls = false,
  } = options;
  const among: Record<string, string> = tls ? { 'tls-replication': 'yes' } : {};
  const servers = { config: { 'repl-diskless-sync-delay': '0', ...among, ...config }, users, tls };
  const [first, second] = await Promise.all([startRedis(t, servers), startRedis(t, servers)]);
  await second.call('REPLICAOF', first.host, first.port);
  const sentinels = await Promise.all(
    Array.from({ length: count }, () =>
      startRedis(t, {
        sentinel: true,
        users: sentinelUsers,
        tls,
        config: {
          ...among,
          sentinel: [
            `monitor ${MASTER} ${first.host} ${first.port} ${quorum}`,
            `down-after-milliseconds ${MASTER} ${downAfter}`,
            `failover-timeout ${MASTER} 3000`,
          ],
        },
      }),
    ),
  );
  const [asked] = sentinels;
  if (asked === undefined) throw new Error('there must be a sentinel');

  async function master(): Promise<RedisServer> {
    const reply = (await asked?.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER)) as [string, string];
    return Number(reply[1]) === first.port ? first : second;
  }

  for (const sentinel of sentinels) {
    await until(async () => {
      const fields = (await sentinel.call('SENTINEL', 'MASTER', MASTER)) as string[];
      const field = (name: string) => Number(fields[fields.indexOf(name) + 1]);
      return field('num-slaves') === 1 && field('num-other-sentinels') === count - 1;
    }, 'the sentinels to know everyone');
  }
  await until(
    async () => /master_link_status:up/.test(String(await second.call('INFO', 'replication'))),
    'a replica',
  );

  return {
    first,
    second,
    sentinels,
    master,
    async failOver() {
      const before = await master();
      await until(
        () =>
          asked.call('SENTINEL', 'FAILOVER', MASTER).then(
            () => true,
            () => false,
          ),
        'a failover to begin',
      );
      const after = await until(async () => {
        const now = await master();
        return now === before ? null : now;
      }, 'another master');
      // Until it is over, the sentinels count who was the master as nothing.
      await until(async () => {
        const replicas = await asked.call('SENTINEL', 'REPLICAS', MASTER);
        return (replicas as string[][]).some((replica) => replica.includes(`${before.host}:${before.port}`));
      }, 'the former master to be a replica');
      return after;
    },
  };
}
