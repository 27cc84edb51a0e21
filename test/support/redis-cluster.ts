/** A real Redis Cluster for a test: masters that share the slots, each with a replica, and what happens to clusters in their life. */
import { type CleansUp, type RedisServer, startRedis, until } from './redis.ts';

export interface ClusterOptions {
  masters?: number;
  /** Of each master. */
  replicas?: number;
  /** How long a node may be silent before the others call it dead. Milliseconds. */
  nodeTimeout?: number;
  /** Directives of every node. */
  config?: Readonly<Record<string, string>>;
  users?: Readonly<Record<string, string>>;
}

const SLOTS = 16_384;

export class RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly #ids = new Map<RedisServer, string>();

  constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  /** Of all nodes, to be put into a configuration. */
  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Makes a cluster of the nodes: the first `masters` share the slots, the others follow one each in turn. */
  async form(masters: number): Promise<void> {
    for (const node of this.nodes) this.#ids.set(node, String(await node.call('CLUSTER', 'MYID')));
    const [leading, following] = [this.nodes.slice(0, masters), this.nodes.slice(masters)];
    for (const [index, node] of leading.entries()) {
      const from = Math.round((SLOTS / masters) * index);
      const to = Math.round((SLOTS / masters) * (index + 1)) - 1;
      await node.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      await node.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
    }
    for (const node of this.nodes) {
      for (const other of this.nodes) {
        if (node !== other) await node.call('CLUSTER', 'MEET', other.host, other.port);
      }
    }
    const count = this.nodes.length;
    for (const node of this.nodes) {
      await until(async () => (await this.#view(node)).length === count, 'the nodes to meet');
    }
    for (const [index, node] of following.entries()) {
      await node.call('CLUSTER', 'REPLICATE', this.id(leading[index % masters] as RedisServer));
    }
    await this.ok();
    for (const node of following) {
      await until(async () => /master_link_status:up/.test(await info(node, 'replication')), 'replicas');
    }
  }

  id(node: RedisServer): string {
    const id = this.#ids.get(node);
    if (id === undefined) throw new Error('no node of this cluster');
    return id;
  }

  /** Resolves when every node that runs says that the cluster is whole and how many there are. */
  async ok(): Promise<void> {
    for (const node of this.#running()) {
      await until(async () => /cluster_state:ok/.test(await infoOfCluster(node)), 'cluster_state:ok');
    }
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.#any().call('CLUSTER', 'KEYSLOT', key));
  }

  /** The master that a slot, or a key's slot, belongs to, as those who run see it. */
  async owner(of: number | string): Promise<RedisServer> {
    const slot = typeof of === 'number' ? of : await this.slotOf(of);
    const ranges = (await this.#any().call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const range = ranges.find(([from, to]) => from <= slot && slot <= to);
    const node = this.nodes.find(({ port }) => port === range?.[2][1]);
    if (node === undefined) throw new Error(`slot ${slot} has no owner`);
    return node;
  }

  /** A master other than this one. */
  async another(than: RedisServer): Promise<RedisServer> {
    for (const node of this.#running()) {
      if (node !== than && /role:master/.test(await info(node, 'replication'))) return node;
    }
    throw new Error('there is no other master');
  }

  async replicaOf(master: RedisServer): Promise<RedisServer> {
    const id = this.id(master);
    const line = (await this.#view(this.#any())).find((one) => one.split(' ')[3] === id);
    const node = this.nodes.find((one) => line?.startsWith(this.id(one)));
    if (node === undefined) throw new Error('it has no replica');
    return node;
  }

  /** From now on the slot's keys are on their way from one to the other. */
  async beginMigration(slot: number, to: RedisServer): Promise<void> {
    const from = await this.owner(slot);
    await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', this.id(from));
    await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', this.id(to));
  }

  /** Moves up to so many keys; says how many there were to move. */
  async moveKeys(slot: number, to: RedisServer, count: number): Promise<number> {
    const from = await this.owner(slot);
    const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[];
    if (keys.length > 0) await from.call('MIGRATE', to.host, to.port, '', 0, 5000, 'KEYS', ...keys);
    return keys.length;
  }

  async endMigration(slot: number, to: RedisServer): Promise<void> {
    const from = await this.owner(slot);
    const rest = this.#running().filter((node) => node !== to && node !== from);
    for (const node of [to, from, ...rest]) {
      // Replicas learn it from their masters.
      if (/role:master/.test(await info(node, 'replication'))) {
        await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', this.id(to));
      }
    }
  }

  /** All of it, as `redis-cli --cluster reshard` does it. `pause` is awaited between its steps. */
  async migrateSlot(
    slot: number,
    to: RedisServer,
    pause: () => Promise<void> = async () => {},
  ): Promise<void> {
    await this.beginMigration(slot, to);
    await pause();
    while ((await this.moveKeys(slot, to, 5)) > 0) await pause();
    await this.endMigration(slot, to);
  }

  /** Its replica takes over while both live, without loss, as for maintenance. Resolves to the new master when all know it. */
  async failOver(master: RedisServer): Promise<RedisServer> {
    const replica = await this.replicaOf(master);
    // It can only take over once it has followed with all data.
    await until(async () => /master_link_status:up/.test(await info(replica, 'replication')), 'a replica');
    await until(async () => {
      await replica.call('CLUSTER', 'FAILOVER');
      // It is given up after five seconds if too few vote for it: they do not twice within two node timeouts.
      return await until(async () => leads(await this.#view(replica), this.id(replica)), 'it', 6_000).catch(
        () => false,
      );
    }, 'the replica to lead');
    await this.#leads(replica, master);
    return replica;
  }

  /** Kills it; resolves to the replica that took its place when the cluster is whole again. */
  async killMaster(master: RedisServer): Promise<RedisServer> {
    const replica = await this.replicaOf(master);
    await master.kill();
    await this.#leads(replica, null);
    await this.ok();
    return replica;
  }

  /** Resolves when all who run know that one leads and, if given, that the other follows it. */
  async #leads(node: RedisServer, follower: RedisServer | null): Promise<void> {
    const id = this.id(node);
    for (const one of this.#running()) {
      await until(async () => {
        const view = await this.#view(one);
        const line = follower === null ? null : view.find((entry) => entry.startsWith(this.id(follower)));
        return leads(view, id) && (line === null || line?.split(' ')[3] === id);
      }, 'all to know who leads');
    }
  }

  async #view(node: RedisServer): Promise<string[]> {
    const text = String(await node.call('CLUSTER', 'NODES'));
    return text.split('\n').filter((line) => line !== '' && !line.includes('handshake'));
  }

  #running(): RedisServer[] {
    return this.nodes.filter(({ running }) => running);
  }

  #any(): RedisServer {
    const [first] = this.#running();
    if (first === undefined) throw new Error('no node runs');
    return first;
  }
}

/** Does it lead, and hold slots, as a node sees it that said so (`CLUSTER NODES`)? */
function leads(view: readonly string[], id: string): boolean {
  const fields = view.find((line) => line.startsWith(id))?.split(' ') ?? [];
  return /\bmaster\b/.test(fields[2] ?? '') && fields.length > 8;
}

async function info(node: RedisServer, section: string): Promise<string> {
  return String(await node.call('INFO', section));
}

async function infoOfCluster(node: RedisServer): Promise<string> {
  return String(await node.call('CLUSTER', 'INFO'));
}

export async function startRedisCluster(t: CleansUp, options: ClusterOptions = {}): Promise<RedisCluster> {
  const { masters = 3, replicas = 1, nodeTimeout = 1000, config = {}, users = {} } = options;
  const nodes = await Promise.all(
    Array.from({ length: masters * (1 + replicas) }, () =>
      startRedis(t, {
        config: {
          'cluster-enabled': 'yes',
          'cluster-node-timeout': `${nodeTimeout}`,
          // A replica takes over however long ago it last heard from its master, and starts to follow at once.
          'cluster-replica-validity-factor': '0',
          'repl-diskless-sync-delay': '0',
          ...config,
        },
        users,
      }),
    ),
  );
  const cluster = new RedisCluster(nodes);
  await cluster.form(masters);
  return cluster;
}
