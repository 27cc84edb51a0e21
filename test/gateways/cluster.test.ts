/** Two gateways on a Redis Cluster whose slots move and whose masters change, and on a pair that Sentinels watch; all under load. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { errorIn } from '../server/helpers.ts';
import { until } from '../support/redis.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { MASTER, startSentinels } from '../support/redis-sentinel.ts';
import {
  ANSWER,
  CLUSTER_COMMANDS,
  COMMANDS,
  endLeases,
  holders,
  type Member,
  PROMPT,
  rules,
  SENTINEL_RULES,
  settled,
  startFleet,
  tally,
  tenant,
} from './kit.ts';
import { Load, longest, type Noted } from './load.ts';

/** Milliseconds. */
const TIMEOUT = 1000;
const LITTLE = 1000;
const PASSWORD = 'Zq7Xw2Lm9';
const AUTHORITY = fileURLToPath(new URL('../support/certificates/authority.pem', import.meta.url));
/** Of each gateway, in each phase. */
const REQUESTS = 25;
/** Clients of each gateway. */
const CLIENTS = 3;

const quotas = [
  { limit: 1_000_000, of: 'requests', per: 'hour' },
  { limit: 1_000_000_000, of: 'tokens', per: 'hour' },
  { limit: 1000, of: 'concurrent' },
];

/** Two tenants on each master. */
async function spread(cluster: RedisCluster): Promise<string[]> {
  const found = new Map<unknown, string[]>();
  for (let i = 0; [...found.values()].filter(({ length }) => length === 2).length < 3; i++) {
    const id = `t${i}`;
    const owner = await cluster.owner(`{${id}}`);
    const there = found.get(owner) ?? [];
    if (there.length < 2) found.set(owner, [...there, id]);
  }
  return [...found.values()].flat();
}

class Books {
  /** Answered so far, by tenant. */
  readonly answered = new Map<string, number>();
  readonly #tenants: readonly string[];

  constructor(tenants: readonly string[]) {
    this.#tenants = tenants;
  }

  load(members: readonly Member[]): Load {
    const of = (client: number, turn: number) => this.#tenants[(client + turn) % this.#tenants.length] ?? '';
    return new Load(members, {
      clients: CLIENTS,
      ask: (client, turn) => ({ of: of(client, turn), body: { stream: turn % 2 === 0 } }),
    });
  }

  add(seen: readonly Noted[]): void {
    for (const { status, of } of seen) {
      if (status === 200) this.answered.set(of, (this.answered.get(of) ?? 0) + 1);
    }
  }

  /** Fails unless the counters and the ledger of these tenants are what was answered. */
  async agree(members: readonly Member[], tenants = this.#tenants): Promise<void> {
    for (const of of tenants) {
      const count = this.answered.get(of) ?? 0;
      assert.ok(count > 0);
      for (const member of members) {
        await until(async () => (await member.sums(of)).requests === count, `the ledger of ${of}`);
        await until(
          async () => (await settled(member, of))['requests'] === count,
          `what is in doubt of ${of} to be undone`,
        );
        const used = { requests: count, tokens: count * (PROMPT + ANSWER), concurrent: 0 };
        assert.deepEqual(await settled(member, of), used, of);
      }
    }
  }
}

// As long as one of its slots is nobody's, a cluster refuses all of them, unless it is told otherwise.
const cluster = await startRedisCluster(
  { after },
  {
    config: { 'cluster-require-full-coverage': 'no' },
    // Databases are not for clusters.
    users: {
      gateway: rules(PASSWORD, [...COMMANDS.filter((name) => name !== 'select'), ...CLUSTER_COMMANDS]),
    },
  },
);
const tenants = await spread(cluster);
const { members } = await startFleet(
  { after },
  {
    count: 2,
    state: {
      redis: cluster.nodes.slice(0, 3).map((node) => node.urlFor('gateway', PASSWORD)),
      command_timeout: `${TIMEOUT}ms`,
      on_outage: 'deny',
    },
    tenants: tenants.map((id) => tenant(id, quotas)),
  },
);
const books = new Books(tenants);

/** `away`: tenants that may be refused because of the mode, `deny`. */
function checked(seen: readonly Noted[], away: readonly string[] = []): void {
  for (const { status, of, text } of seen) {
    if (status === 503 && away.includes(of)) assert.equal(errorIn(text).code, 'state_unavailable');
    else assert.equal(status, 200, `${of}: ${text}`);
  }
  const held = longest(seen);
  assert.ok(held <= TIMEOUT + LITTLE, `a request took ${held} ms`);
  books.add(seen);
}

function allUp() {
  return until(
    async () => (await Promise.all(members.map((member) => member.storeUp()))).every(Boolean),
    'all to be up',
  );
}

describe('on a cluster of three nodes, two gateways', () => {
  it('serve every tenant while slots move from one node to another', async () => {
    const load = books.load(members);
    await load.next(REQUESTS);
    for (const of of tenants.slice(0, 3)) {
      const slot = await cluster.slotOf(`{${of}}`);
      const from = await cluster.owner(slot);
      const to = await cluster.another(from);
      await cluster.beginMigration(slot, to);
      await load.next(5);
      while ((await cluster.moveKeys(slot, to, 100)) > 0);
      await load.next(5);
      await cluster.endMigration(slot, to);
      await load.next(REQUESTS);
      assert.equal(await cluster.owner(slot), to);
    }
    checked(await load.end());
    await books.agree(members);
    for (const member of members) assert.deepEqual(member.said(/ is away/), []);
  });

  it('lose nothing when a replica takes over from its master in order', async (t) => {
    const of = tenants[0] ?? '';
    const master = await cluster.owner(`{${of}}`);
    const there = await tenantsOn(master);
    const load = books.load(members);
    await load.next(REQUESTS);
    const next = await cluster.failOver(master);
    await load.next(REQUESTS);
    await allUp();
    const after = await load.next(REQUESTS);
    assert.deepEqual(tally(after), { 200: after.length });
    const seen = await load.end();
    checked(seen, there);
    t.diagnostic(JSON.stringify(tally(seen)));
    assert.equal(await cluster.owner(`{${of}}`), next);
    await books.agree(members);
  });

  it('refuse only the tenants of a master that died, until its replica leads', async (t) => {
    const master = await cluster.owner(`{${tenants.at(-1)}}`);
    const there = await tenantsOn(master);
    const load = books.load(members);
    await load.next(REQUESTS);
    const from = members.map(({ process }) => process.lines.length);
    const next = await cluster.killMaster(master);
    await allUp();
    const after = await load.next(REQUESTS);
    assert.deepEqual(tally(after), { 200: after.length });
    const seen = await load.end();
    t.diagnostic(JSON.stringify(tally(seen)));
    checked(seen, there);
    assert.ok(seen.some(({ status }) => status === 503));
    for (const [i, member] of members.entries()) {
      await until(() => member.said(/ is back/, from[i]).length > 0, 'the log to say so');
      for (const what of ['away', 'back']) {
        const message = new RegExp(`^127\\.0\\.0\\.1:${master.port} is ${what} `);
        assert.equal(member.said(message, from[i]).length, 1, what);
      }
      assert.equal(member.said(/ is (?:away|back)/, from[i]).length, 2);
    }
    await books.agree(
      members,
      tenants.filter((of) => !there.includes(of)),
    );
    // What the master had not copied yet is lost: no more than what was under way.
    for (const of of there) {
      // And that some of it is over, perhaps: then it stays reserved as long as a lease lasts.
      await endLeases(next, of, await holders(next, of));
      const used = await settled(members[0] as Member, of);
      const sums = await (members[1] as Member).sums(of);
      const count = books.answered.get(of) ?? 0;
      const most = 2 * CLIENTS * members.length;
      assert.ok(Math.abs(sums.requests - count) <= most, `${sums.requests} for ${count}`);
      assert.ok(Math.abs((used['requests'] ?? 0) - count) <= most, `${used['requests']} for ${count}`);
      assert.equal(used['tokens'], sums.input_tokens + sums.output_tokens);
    }
  });
});

describe('a user with the rights of a gateway', () => {
  it('was refused nothing by any node, and asked for what only clusters have', async () => {
    const called = new Set<string>();
    for (const node of cluster.nodes.filter(({ running }) => running)) {
      assert.deepEqual(await node.call('ACL', 'LOG'), []);
      const statistics = String(await node.call('INFO', 'commandstats'));
      for (const name of CLUSTER_COMMANDS) {
        if (statistics.includes(`cmdstat_${name}:`)) called.add(name);
      }
    }
    assert.deepEqual([...called].sort(), [...CLUSTER_COMMANDS].sort());
  });
});

async function tenantsOn(node: unknown): Promise<string[]> {
  const found: string[] = [];
  for (const of of tenants) if ((await cluster.owner(`{${of}}`)) === node) found.push(of);
  return found;
}

describe('where Sentinels name another master', () => {
  it('gateways go on with it, over TLS too, and nobody is refused', async (t) => {
    const sentinels = await startSentinels(t, {
      tls: true,
      users: { gateway: rules(PASSWORD, COMMANDS) },
      sentinelUsers: { asker: `on >${PASSWORD} ${SENTINEL_RULES}` },
    });
    const { members } = await startFleet(t, {
      count: 2,
      state: {
        redis: {
          sentinels: sentinels.sentinels.map((one) => one.urlFor('asker', PASSWORD)),
          name: MASTER,
          username: 'gateway',
          password: PASSWORD,
          tls: true,
        },
        command_timeout: `${TIMEOUT}ms`,
        on_outage: 'local',
      },
      env: () => ({ NODE_EXTRA_CA_CERTS: AUTHORITY }),
      tenants: [tenant('busy', quotas)],
    });
    const [a, b] = members as [Member, Member];
    const load = new Load(members, { clients: CLIENTS, ask: () => ({ of: 'busy' }) });
    await load.next(REQUESTS);
    const master = await sentinels.failOver();
    assert.equal(master, sentinels.second);
    const isKnown = async () => {
      const clients = await master.call('CLIENT', 'LIST').catch(() => '');
      return (String(clients).match(/name=spillway-/g) ?? []).length === 2;
    };
    await until(isKnown, 'both gateways to have found it');
    await until(async () => (await a.storeUp()) && (await b.storeUp()), 'both to be up');
    await load.next(REQUESTS);
    const seen = await load.end();
    assert.deepEqual(tally(seen), { 200: seen.length });
    assert.ok(longest(seen) <= TIMEOUT + LITTLE, `a request took ${longest(seen)} ms`);

    // Of what it was told in its last moments the old master was the only one to know: that these requests are over, above all.
    const left = (await a.usage('busy')).map(({ of, reserved }) => `${of}: ${reserved}`);
    t.diagnostic(`still reserved: ${left.join(', ')}`);
    await endLeases(master, 'busy', await holders(master, 'busy'));

    // All that is asked from now on is counted by the new master.
    const before = (await settled(a, 'busy'))['requests'] ?? 0;
    for (const member of [a, b, a, b]) assert.equal((await member.chat('busy')).status, 200);
    assert.equal((await settled(b, 'busy'))['requests'], before + 4);
    const used = await settled(a, 'busy');
    const sums = await b.sums('busy');
    t.diagnostic(`${seen.length + 4} answered, ${used['requests']} counted, ${sums.requests} in the ledger`);
    assert.equal(used['tokens'], sums.input_tokens + sums.output_tokens);
    for (const one of [master, ...sentinels.sentinels]) assert.deepEqual(await one.call('ACL', 'LOG'), []);
  });
});
